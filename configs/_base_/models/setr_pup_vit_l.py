"""SETR with ViT-L/16 and the decoder that enlarges step by step (PUP), as in mmsegmentation; auxiliary heads: the leaf.

Backbone weights: ImageNet, timm's jx_vit_large_p16_384-b3be5167.pth made ready by mmsegmentation's
`tools/model_converters/vit2mmseg.py jx_vit_large_p16_384-b3be5167.pth data/weights/vit_l_mmseg.pth`.
"""

_base_ = ["./_upernet.py"]

model = dict(
    backbone=dict(
        type="VisionTransformer",
        img_size=(512, 512),
        patch_size=16,
        embed_dims=1024,
        num_layers=24,
        num_heads=16,
        out_indices=(9, 14, 19, 23),
        norm_cfg=dict(type="LN", eps=1e-6),
        with_cls_token=True,
        interpolate_mode="bilinear",
        init_cfg=dict(type="Pretrained", checkpoint="data/weights/vit_l_mmseg.pth"),
    ),
    decode_head=dict(
        _delete_=True,
        type="SETRUPHead",
        in_channels=1024,
        channels=256,
        in_index=3,
        dropout_ratio=0,
        norm_cfg={{_base_.norm_cfg}},
        num_convs=4,
        up_scale=2,
        kernel_size=3,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
)
