"""UPerNet on a frozen DINOv3 ViT-L/16 of satellite images (sat493m) on Potsdam: only pyramid and decoder are trained.

    tools/dist_train.sh configs/potsdam/upernet_dinov3_l_sat_frozen_potsdam.py 8 --amp

Expected: no published figure; not run by us.  Mean and deviation are those of sat493m, which differ from ImageNet's.
"""

_base_ = ["./upernet_dinov3_b_potsdam.py"]

model = dict(
    data_preprocessor=dict(mean=[109.65, 104.805, 75.48], std=[54.315, 39.78, 36.465]),
    backbone=dict(
        name="vit_large_patch16_dinov3.sat493m",
        weights="hf://timm/vit_large_patch16_dinov3.sat493m",
        tune="frozen",
        drop_path_rate=0.0,
    ),
    neck=dict(embed_dim=1024),
    decode_head=dict(in_channels=[1024, 1024, 1024, 1024]),
)
