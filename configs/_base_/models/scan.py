"""SCAN (CVPR 2024) with Swin-B and CLIP ViT-B/16, which sees regions and whole images at 224 x 224; the vocabulary is
the experiment's.

Weights: the release takes open_clip's ViT-B-16, pretrained='datacomp_xl_s13b_b90k'; the backbone's is Swin's own:
`rsseg weights swin_base_patch4_window12_384_22k.pth data/weights/swin_b_window12_384_22k.pth`.
"""

model = dict(
    type="SCAN",
    data_preprocessor=dict(
        type="AnySizePreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1,
    ),
    clip=dict(
        type="CLIP",
        resolution=224,
        taps=(),
        activation="gelu",
        weights="hf://laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K/open_clip_model.safetensors",
    ),
    backbone=dict(
        type="SwinTransformer",
        pretrain_img_size=384,
        embed_dims=128,
        depths=[2, 2, 18, 2],
        num_heads=[4, 8, 16, 32],
        window_size=12,
        drop_path_rate=0.3,
        init_cfg=dict(type="Pretrained", checkpoint="data/weights/swin_b_window12_384_22k.pth"),
    ),
    proposals=dict(in_channels=[128, 256, 512, 1024]),
    template="vild",
    mask_threshold=0.4,
    clip_weight=0.7,
    shift_share=0.05,
    test_cfg=dict(mode="whole", crop_size=640),
)
