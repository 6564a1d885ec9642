"""UPerNet with ViT-B as in the SAMRS release: UPerHead of 768 channels, no auxiliary head.

Backbone weights: ImageNet-1k (DeiT),
`python tools/convert_weights.py deit_base_patch16_224-b5f2ef4d.pth data/weights/vit_b_imagenet.pth`.
"""

_base_ = ["./_upernet.py"]

model = dict(
    backbone=dict(
        type="ViT",
        img_size=224,
        drop_path_rate=0.15,
        init_cfg=dict(type="Pretrained", checkpoint="data/weights/vit_b_imagenet.pth"),
    ),
    decode_head=dict(in_channels=[768, 768, 768, 768], channels=768),
)
