"""UNet with ResNet-50 (v1.5, plain stem) as in the SAMRS release: four blocks of 512 to 64 channels, a 3x3 classifier.

The head as the paper prints it (a 1x1 classifier, then doubling and ReLU): `model.decode_head.head="printed"`.
"""

_base_ = ["./_upernet.py"]

model = dict(
    backbone=dict(
        type="ResNet",
        depth=50,
        style="pytorch",
        norm_cfg={{_base_.norm_cfg}},
        init_cfg=dict(type="Pretrained", checkpoint="torchvision://resnet50"),
    ),
    decode_head=dict(
        _delete_=True,
        type="UNetHead",
        in_channels=[256, 512, 1024, 2048],
        decoder_channels=(512, 256, 128, 64),
        head="released",
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
)
