"""EoMT with DINOv3 ViT-B/16 of web images (lvd1689m): 100 queries that the last 3 blocks read.

Weights: timm's copy on the hub, under the DINOv3 licence: `rsseg pull hf://timm/vit_base_patch16_dinov3.lvd1689m`.
Mean and deviation are the tag's.  ViT-L: `name`, `weights`, `decode_head.channels=1024`, `decode_head.blocks=4`.
A leaf adds the hook AnnealMasks, by which masks are given up block by block.  Its schedule: `../schedules/eomt_80k.py`.
"""

model = dict(
    type="EoMT",
    data_preprocessor=dict(
        type="SegDataPreProcessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1,
    ),
    backbone=dict(
        type="DINOv3",
        name="vit_base_patch16_dinov3.lvd1689m",
        weights="hf://timm/vit_base_patch16_dinov3.lvd1689m",
    ),
    decode_head=dict(type="EoMTHead", channels=768, queries=100, blocks=3),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
