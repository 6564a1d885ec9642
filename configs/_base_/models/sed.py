"""SED (CVPR 2024) with CLIP ConvNeXt-B at 768 x 768; the vocabulary is the experiment's.

Weights: data/weights/clip_convnext_base_w_320.bin is open_clip_pytorch_model.bin of the hub's
laion/CLIP-convnext_base_w_320-laion_aesthetic-s13B-b82K.
"""

model = dict(
    type="SED",
    data_preprocessor=dict(
        type="AnySizePreprocessor",
        mean=[122.7709383, 116.7460125, 104.09373615],
        std=[68.5005327, 66.6321579, 70.3231630],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1,
    ),
    clip=dict(type="ConvNeXtCLIP", weights="data/weights/clip_convnext_base_w_320.bin"),
    test_cfg=dict(mode="whole"),
)
