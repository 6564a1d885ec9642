"""DeepLabV2 on EfficientNet-Lite0 at stride 16, for adaptation on CPUs; weights as unet_efficientnet_lite0.py."""

_base_ = ["./_adaptation.py"]

weights = "data/weights/efficientnet_lite0.pth"
model = dict(
    data_preprocessor=dict(mean=[127.0] * 3, std=[128.0] * 3),
    backbone=dict(
        type="TIMMBackbone",
        model_name="tf_efficientnet_lite0",
        features_only=True,
        pretrained=False,
        output_stride=16,
        init_cfg=dict(type="Pretrained", checkpoint=weights),
    ),
    decode_head=dict(
        type="DeepLabV2Head",
        in_channels=[112, 320],
        in_index=[3, 4],
        channels=64,
        dilations=[1, 2, 4, 6],
        embedding=[64, 32],
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
)
