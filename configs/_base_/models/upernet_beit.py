"""UPerNet with BEiT-B: ViT-B with everything that BEiT's files hold, and the decoder of upernet_vit.py.

Random initial weights: a pre-trained file with BEiT's names (beit_base_patch16_224) goes into
`model.backbone.init_cfg`.  The release loads such files into the model of upernet_vit.py, which has no place for their
relative positions, class token, scales and query and value biases.
"""

_base_ = ["./upernet_vit.py"]

model = dict(backbone=dict(positions="relative", layer_scale=0.1))
