"""U-Net with EfficientNet-B4 as encoder and scSE in the decoder's blocks."""

_base_ = ["./_unet.py"]

weights = (
    "https://download.openmmlab.com/mmclassification/v0/efficientnet/"
    "efficientnet-b4_3rdparty_8xb32_in1k_20220119-81fd4077.pth"
)
model = dict(
    backbone=dict(
        type="UNetEfficientNet",
        arch="b4",
        norm_cfg=dict(type="SyncBN", eps=1e-3, requires_grad=True),  # the weights were trained with this eps
        init_cfg=dict(type="Pretrained", checkpoint=weights, prefix="backbone."),
    ),
    decode_head=dict(in_channels=[48, 32, 56, 160, 448], attention=True),
)
