"""UPerNet with ViTAEv2-S as in the SAMRS release: UPerHead of 128 channels, no auxiliary head.

Backbone weights: ImageNet-1k, `python tools/convert_weights.py ViTAEv2-S.pth.tar data/weights/vitaev2_s_imagenet.pth`.
"""

_base_ = ["./_upernet.py"]

model = dict(
    backbone=dict(
        type="ViTAEv2",
        drop_path_rate=0.3,
        norm_cfg={{_base_.norm_cfg}},
        init_cfg=dict(type="Pretrained", checkpoint="data/weights/vitaev2_s_imagenet.pth"),
    ),
    decode_head=dict(in_channels=[64, 128, 256, 512], channels=128),
)
