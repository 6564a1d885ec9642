"""EBSeg (CVPR 2024) with CLIP ViT-B/16 and SAM ViT-B; the vocabulary is the experiment's.

Weights: data/weights/ViT-B-16.pt is OpenAI's file, data/weights/sam_vit_b_01ec64.pth is Meta's.  SAM sees images by
ImageNet's mean and deviation, which the model makes of CLIP's.
"""

model = dict(
    type="EBSeg",
    data_preprocessor=dict(
        type="AnySizePreprocessor",
        mean=[122.7709383, 116.7460125, 104.09373615],
        std=[68.5005327, 66.6321579, 70.3231630],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1,
    ),
    clip=dict(type="CLIP", resolution=320, weights="data/weights/ViT-B-16.pt"),
    sam=dict(weights="data/weights/sam_vit_b_01ec64.pth"),
    test_cfg=dict(mode="whole"),
)
