"""UPerNet with InternImage-T as in the SAMRS release: UPerHead of 128 channels, no auxiliary head.

Backbone weights: ImageNet-1k,
`python tools/convert_weights.py internimage_t_1k_224.pth data/weights/internimage_t_imagenet.pth`.
"""

_base_ = ["./_upernet.py"]

model = dict(
    backbone=dict(
        type="InternImage",
        drop_path_rate=0.2,
        init_cfg=dict(type="Pretrained", checkpoint="data/weights/internimage_t_imagenet.pth"),
    ),
    decode_head=dict(in_channels=[64, 128, 256, 512], channels=128),
)
