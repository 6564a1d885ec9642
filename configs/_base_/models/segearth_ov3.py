"""SegEarth-OV3 with SAM 3; the vocabulary is the experiment's.  Nothing is trained.

Weights: hf://facebook/sam3 (gated: fill in the form on its page, then `hf auth login`), or a folder of them.
"""

data_preprocessor = dict(
    type="AnySizePreprocessor",
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size_divisor=1,
)
model = dict(
    type="SegEarthOV3",
    data_preprocessor=data_preprocessor,
    sam3=dict(type="SAM3", weights="hf://facebook/sam3", resolution=512),
    template="{}",
    confidence=0.1,
    test_cfg=dict(mode="slide", stride=512),
)
