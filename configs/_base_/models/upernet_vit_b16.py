"""UPerNet with ViT-B/16 as in mmsegmentation: its own ViT, and a neck that scales four maps to strides 4 to 32.

Backbone weights: ImageNet, timm's jx_vit_base_p16_224-80ecf9dd.pth made ready by mmsegmentation's
`tools/model_converters/vit2mmseg.py jx_vit_base_p16_224-80ecf9dd.pth data/weights/vit_b_mmseg.pth`.
"""

_base_ = ["./_upernet_auxiliary.py"]

model = dict(
    backbone=dict(
        type="VisionTransformer",
        img_size=(512, 512),
        patch_size=16,
        embed_dims=768,
        num_layers=12,
        num_heads=12,
        out_indices=(2, 5, 8, 11),
        qkv_bias=True,
        norm_cfg=dict(type="LN", eps=1e-6),
        interpolate_mode="bicubic",
        init_cfg=dict(type="Pretrained", checkpoint="data/weights/vit_b_mmseg.pth"),
    ),
    neck=dict(type="MultiLevelNeck", in_channels=[768, 768, 768, 768], out_channels=768, scales=[4, 2, 1, 0.5]),
    decode_head=dict(in_channels=[768, 768, 768, 768]),
    auxiliary_head=dict(in_channels=768, in_index=3),
)
