"""OV-Seg (CVPR 2023) with ResNet-101c and CLIP ViT-B/16, which sees regions of 224 x 224; the vocabulary is the
experiment's.

Weights: data/weights/ViT-B-16.pt is OpenAI's file; the backbone's is timm's resnet101s.gluon_in1k, whose stem is the
release's: `rsseg weights hf://timm/resnet101s.gluon_in1k/model.safetensors data/weights/resnet101s.pth`.
"""

model = dict(
    type="OVSeg",
    data_preprocessor=dict(
        type="AnySizePreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1,
    ),
    clip=dict(type="CLIP", resolution=224, taps=(), weights="data/weights/ViT-B-16.pt"),
    backbone=dict(
        type="ResNetV1c",
        depth=101,
        stem_channels=128,
        style="pytorch",
        multi_grid=(1, 2, 4),
        frozen_stages=1,
        norm_cfg=dict(type="FrozenBatchNorm2d"),
        zero_init_residual=False,
        init_cfg=dict(type="Pretrained", checkpoint="data/weights/resnet101s.pth"),
    ),
    proposals=dict(in_channels=[256, 512, 1024, 2048]),
    template="vild",
    mask_threshold=0.5,
    clip_weight=0.7,
    test_cfg=dict(mode="whole", crop_size=512),
)
