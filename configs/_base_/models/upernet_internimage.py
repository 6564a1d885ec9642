"""UPerNet with InternImage-T as in the SAMRS release: UPerHead of 128 channels, no auxiliary head.

Random initial weights: a pre-trained file with the published names goes into `model.backbone.init_cfg`.
"""

_base_ = ["./_upernet.py"]

model = dict(
    backbone=dict(type="InternImage", drop_path_rate=0.2),
    decode_head=dict(in_channels=[64, 128, 256, 512], channels=128),
)
