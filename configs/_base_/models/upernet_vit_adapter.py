"""UPerNet with ViT-Adapter-B as in the SAMRS release: UPerHead of 768 channels, no auxiliary head.

Backbone weights: ImageNet-1k (DeiT), `python tools/convert_weights.py deit_base_patch16_224-b5f2ef4d.pth
data/weights/vit_adapter_b_imagenet.pth --backbone vit_adapter`.
"""

_base_ = ["./_upernet.py"]

model = dict(
    backbone=dict(
        type="ViTAdapter",
        drop_path_rate=0.3,
        norm_cfg={{_base_.norm_cfg}},
        init_cfg=dict(type="Pretrained", checkpoint="data/weights/vit_adapter_b_imagenet.pth"),
    ),
    decode_head=dict(in_channels=[768, 768, 768, 768], channels=768),
)
