"""UPerNet with BEiT-B: ViT-B with everything that BEiT's files hold, and the decoder of upernet_vit.py.

Backbone weights: ImageNet-22k, `python tools/convert_weights.py beit_base_patch16_224_pt22k_ft22k.pth
data/weights/beit_b.pth`.  The release loads such files into the model of upernet_vit.py, which has no place for their
relative positions, class token, scales and query and value biases.
"""

_base_ = ["./_upernet.py"]

model = dict(
    backbone=dict(
        type="ViT",
        img_size=224,
        drop_path_rate=0.15,
        positions="relative",
        layer_scale=0.1,
        init_cfg=dict(type="Pretrained", checkpoint="data/weights/beit_b.pth"),
    ),
    decode_head=dict(in_channels=[768, 768, 768, 768], channels=768),
)
