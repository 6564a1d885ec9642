"""SparseMask's derived network; its architecture is that of the authors for PASCAL VOC, 15 edges.

Weights of ImageNet, of torchvision or mmpretrain:

    rsseg weights FILE data/weights/mobilenet_v2_sparsemask.pth --backbone sparsemask_mobilenet
"""

_base_ = ["./_unet.py"]

norm_cfg = dict(type="BN", momentum=0.0003, requires_grad=True)
_weights = dict(type="Pretrained", checkpoint="data/weights/mobilenet_v2_sparsemask.pth")
_architecture = dict(
    method="SparseMask",
    count=9,
    nodes={
        "1": dict(taps=[0], ups=[0]),
        "2": dict(taps=[2], ups=[0]),
        "3": dict(taps=[3], ups=[0]),
        "8": dict(taps=[0, 1, 2, 3, 8], ups=[0, 2, 3, 4]),
    },
)
model = dict(
    backbone=dict(type="SparseMaskMobileNet", norm_cfg=norm_cfg, init_cfg=_weights),
    decode_head=dict(
        _delete_=True,
        type="SparseMaskHead",
        architecture=_architecture,
        in_channels=[32, 16, 24, 32, 64, 96, 160, 320, 1280],
        norm_cfg=norm_cfg,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
)
