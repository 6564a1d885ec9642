"""Boxes to masks by a network of 3.0 M parameters, EfficientNet-Lite0 as encoder, for CPUs.

The ImageNet weights come as a package (the extra "demo"), which rsseg train-boxmask converts.
"""

weights = "data/weights/efficientnet_lite0.pth"
model = dict(
    type="BoxMaskModel",
    backbone=dict(
        type="TIMMBackbone",
        model_name="tf_efficientnet_lite0",
        features_only=True,
        pretrained=False,
        init_cfg=dict(type="Pretrained", checkpoint=weights),
    ),
    channels=48,
    size=128,  # crop pixels
    context=1.4,  # times the box's longer side
    least=24,  # image pixels
    mean=[127.0] * 3,  # what the weights were trained with
    std=[128.0] * 3,
    augmentation=dict(
        turns=True, free_turns=0.5, jittered=0.3, box_jitter=0.03, scale=0.1, shift=0.03, colour=0.15, rotated=0.5
    ),
)
