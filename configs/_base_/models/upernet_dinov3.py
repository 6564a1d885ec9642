"""UPerNet with DINOv3 ViT-B/16 of web images (lvd1689m), whose maps a small pyramid brings to strides 4 to 32.

Weights: timm's copy on the hub, under the DINOv3 licence: `rsseg pull hf://timm/vit_base_patch16_dinov3.lvd1689m`.
Mean and deviation are the tag's; images whose sides are no multiples of 16 are padded in tests.
"""

_base_ = ["./_upernet.py"]

model = dict(
    data_preprocessor=dict(test_cfg=dict(size_divisor=16)),
    backbone=dict(
        type="DINOv3",
        name="vit_base_patch16_dinov3.lvd1689m",
        weights="hf://timm/vit_base_patch16_dinov3.lvd1689m",
        drop_path_rate=0.1,
    ),
    neck=dict(type="Feature2Pyramid", embed_dim=768, rescales=[4, 2, 1, 0.5], norm_cfg={{_base_.norm_cfg}}),
    decode_head=dict(in_channels=[768, 768, 768, 768], channels=512),
)
