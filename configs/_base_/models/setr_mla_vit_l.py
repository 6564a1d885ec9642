"""SETR with ViT-L/16 and the decoder that joins four layers (MLA), as in mmsegmentation; auxiliary heads: the leaf.

Backbone weights: as for setr_pup_vit_l.py.
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
        out_indices=(5, 11, 17, 23),
        norm_cfg=dict(type="LN", eps=1e-6),
        with_cls_token=False,
        interpolate_mode="bilinear",
        init_cfg=dict(type="Pretrained", checkpoint="data/weights/vit_l_mmseg.pth"),
    ),
    neck=dict(
        type="MLANeck",
        in_channels=[1024, 1024, 1024, 1024],
        out_channels=256,
        norm_cfg={{_base_.norm_cfg}},
        act_cfg=dict(type="ReLU"),
    ),
    decode_head=dict(
        _delete_=True,
        type="SETRMLAHead",
        in_channels=(256, 256, 256, 256),
        channels=512,
        in_index=(0, 1, 2, 3),
        dropout_ratio=0,
        mla_channels=128,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
)
