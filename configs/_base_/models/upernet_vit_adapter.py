"""UPerNet with ViT-Adapter-B as in the SAMRS release: UPerHead of 768 channels, no auxiliary head.

Random initial weights: a pre-trained file with the published names, or that of a ViT-B, goes into
`model.backbone.init_cfg`.
"""

_base_ = ["./_upernet.py"]

model = dict(
    backbone=dict(type="ViTAdapter", drop_path_rate=0.3, norm_cfg={{_base_.norm_cfg}}),
    decode_head=dict(in_channels=[768, 768, 768, 768], channels=768),
)
