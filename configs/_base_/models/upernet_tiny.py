"""UPerNet with a ResNet-18 of half the width, for CPUs, demos and tests.  Random initial weights."""

_base_ = ["./_upernet.py"]

model = dict(
    backbone=dict(
        type="ResNet",
        depth=18,
        stem_channels=32,
        base_channels=32,
        style="pytorch",
        norm_cfg={{_base_.norm_cfg}},
    ),
    decode_head=dict(in_channels=[32, 64, 128, 256], channels=64),
)
