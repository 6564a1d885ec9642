"""U-Net with ResNet-34 as encoder."""

_base_ = ["./_unet.py"]

model = dict(
    backbone=dict(
        type="UNetResNet",
        depth=34,
        norm_cfg={{_base_.norm_cfg}},
        init_cfg=dict(type="Pretrained", checkpoint="torchvision://resnet34"),
    ),
    decode_head=dict(in_channels=[64, 64, 128, 256, 512]),
)
