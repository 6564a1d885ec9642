"""UPerNet with ViT-B + RVSA as in the SAMRS release: UPerHead of 768 channels, no auxiliary head.

Backbone weights: masked autoencoding of MillionAID,
`python tools/convert_weights.py vit-b-checkpoint-1599.pth data/weights/rvsa_b_mae.pth --backbone rvsa`.
"""

_base_ = ["./_upernet.py"]

model = dict(
    backbone=dict(
        type="RVSA",
        drop_path_rate=0.1,
        init_cfg=dict(type="Pretrained", checkpoint="data/weights/rvsa_b_mae.pth"),
    ),
    decode_head=dict(in_channels=[768, 768, 768, 768], channels=768),
)
