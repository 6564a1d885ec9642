"""SparseMask in search: every node reads all that it can.  Scales and offsets of normalisation do not train."""

_base_ = ["./_unet.py"]

norm_cfg = dict(type="BN", momentum=0.0003, requires_grad=False)
_weights = dict(type="Pretrained", checkpoint="data/weights/mobilenet_v2_sparsemask.pth")
model = dict(
    backbone=dict(type="SparseMaskMobileNet", norm_cfg=norm_cfg, init_cfg=_weights),
    decode_head=dict(
        _delete_=True,
        type="SparseMaskSearchHead",
        in_channels=[32, 16, 24, 32, 64, 96, 160, 320, 1280],
        sparsity_weight=0.01,
        threshold=0.001,
        norm_cfg=norm_cfg,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
)
