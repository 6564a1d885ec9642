"""GSNet (AAAI 2025) with CLIP ViT-B/16 and DINO ViT-B/8 at 384 x 384; the vocabulary is the experiment's.

Weights: data/weights/ViT-B-16.pt is OpenAI's file; data/weights/gsnet_dino.pth is the specialist, a DINO "teacher" file
through tools/convert_weights.py.  Both streams see images by CLIP's mean and deviation.
"""

data_preprocessor = dict(
    type="AnySizePreprocessor",
    mean=[122.7709383, 116.7460125, 104.09373615],
    std=[68.5005327, 66.6321579, 70.3231630],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size_divisor=1,
)
model = dict(
    type="GSNet",
    data_preprocessor=data_preprocessor,
    clip=dict(type="CLIP", weights="data/weights/ViT-B-16.pt"),
    dino=dict(type="DINOViT", weights="data/weights/gsnet_dino.pth"),
    fusion=dict(type="QueryGuidedFusion"),
    aggregator=dict(type="Aggregator"),
    decoder=dict(type="ResidualDecoder"),
    test_cfg=dict(mode="five_view", size=640, overlap=0.333),
)
