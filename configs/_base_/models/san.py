"""SAN (CVPR 2023) with CLIP ViT-B/16: the adapter sees 640 x 640, CLIP 320 x 320; the vocabulary is the experiment's.

Weights: data/weights/ViT-B-16.pt is OpenAI's file.
"""

model = dict(
    type="SAN",
    data_preprocessor=dict(
        type="AnySizePreprocessor",
        mean=[122.7709383, 116.7460125, 104.09373615],
        std=[68.5005327, 66.6321579, 70.3231630],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1,
    ),
    clip=dict(type="CLIP", resolution=320, taps=(), weights="data/weights/ViT-B-16.pt"),
    test_cfg=dict(mode="whole"),
)
