"""UPerNet with ViT-B + RVSA as in the SAMRS release: UPerHead of 768 channels, no auxiliary head.

Random initial weights: a pre-trained file with the published names goes into `model.backbone.init_cfg`.
"""

_base_ = ["./_upernet.py"]

model = dict(
    backbone=dict(type="RVSA", drop_path_rate=0.1),
    decode_head=dict(in_channels=[768, 768, 768, 768], channels=768),
)
