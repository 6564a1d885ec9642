"""SegEarth-OV with CLIP ViT-B/16 and SimFeatUp; the vocabulary is the experiment's.  Nothing is trained.

Weights: data/weights/ViT-B-16.pt is OpenAI's file (an address hf://... of open_clip's copy works, too);
data/weights/xclip_jbu_one_million_aid.ckpt is in SegEarth-OV's repository, simfeatup_dev/weights.
"""

data_preprocessor = dict(
    type="AnySizePreprocessor",
    mean=[122.771, 116.746, 104.094],
    std=[68.501, 66.632, 70.323],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size_divisor=1,
)
model = dict(
    type="SegEarthOV",
    data_preprocessor=data_preprocessor,
    clip=dict(type="CLIP", resolution=224, weights="data/weights/ViT-B-16.pt"),
    upsampler=dict(type="SimFeatUp", weights="data/weights/xclip_jbu_one_million_aid.ckpt"),
    template="imagenet",
    test_cfg=dict(mode="slide", size=448, stride=112),
)
