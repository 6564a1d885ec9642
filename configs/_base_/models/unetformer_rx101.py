"""UNetFormer with ResNeXt-101 32x16d as encoder, a decoder of 64 channels and its auxiliary loss."""

_base_ = ["./_upernet.py"]

model = dict(
    backbone=dict(
        type="ResNeXt",
        depth=101,
        groups=32,
        base_width=16,
        norm_cfg={{_base_.norm_cfg}},
        init_cfg=dict(
            type="Pretrained", checkpoint="https://download.pytorch.org/models/ig_resnext101_32x16-c6f796b0.pth"
        ),
    ),
    decode_head=dict(
        _delete_=True,
        type="UNetFormerHead",
        in_channels=[256, 512, 1024, 2048],
        channels=64,
        num_heads=8,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
)
