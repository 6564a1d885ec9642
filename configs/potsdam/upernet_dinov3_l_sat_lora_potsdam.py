"""UPerNet on DINOv3 ViT-L/16 of satellite images (sat493m) on Potsdam, with adapters of rank 16 (LoRA) in the encoder.

    tools/dist_train.sh configs/potsdam/upernet_dinov3_l_sat_lora_potsdam.py 8 --amp

Expected: no published figure; not run by us.  Checkpoints hold adapters, pyramid and decoder; the encoder's file is
needed where they are used.  A plain checkpoint: rsseg weights CHECKPOINT OUT --to merged --config CONFIG.
"""

_base_ = ["./upernet_dinov3_b_potsdam.py"]

model = dict(
    data_preprocessor=dict(mean=[109.65, 104.805, 75.48], std=[54.315, 39.78, 36.465]),
    backbone=dict(
        name="vit_large_patch16_dinov3.sat493m",
        weights="hf://timm/vit_large_patch16_dinov3.sat493m",
        tune="lora",
        adapters=dict(rank=16, alpha=32),
    ),
    neck=dict(embed_dim=1024),
    decode_head=dict(in_channels=[1024, 1024, 1024, 1024]),
)
optim_wrapper = dict(optimizer=dict(lr=2e-4), paramwise_cfg=dict(layer_decay_rate=1.0))
