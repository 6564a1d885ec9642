"""UPerNet with ResNet-50 (v1.5, plain stem) as in the SAMRS release: UPerHead of 512 channels, no auxiliary head."""

_base_ = ["./_upernet.py"]

model = dict(
    backbone=dict(
        type="ResNet",
        depth=50,
        style="pytorch",
        norm_cfg={{_base_.norm_cfg}},
        init_cfg=dict(type="Pretrained", checkpoint="torchvision://resnet50"),
    ),
    decode_head=dict(in_channels=[256, 512, 1024, 2048], channels=512),
)
