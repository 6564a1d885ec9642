"""UPerNet ViT-B + RVSA on iSAID from MAE on MillionAID (no row of the SAMRS paper).

    python tools/convert_weights.py vit-b-checkpoint-1599.pth data/weights/rvsa_b_mae.pth --backbone rvsa
    tools/dist_train.sh configs/isaid/upernet_rvsa_isaid.py 8

Not run by us.
Crops, batch and deviations: as in upernet_swin_isaid.py.
"""

_base_ = [
    "../_base_/models/upernet_rvsa.py",
    "../_base_/datasets/isaid.py",
    "../_base_/schedules/finetune_80k_vit.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=16), test_cfg=dict(mode="slide", crop_size=(896, 896), stride=(598, 598)))
train_dataloader = dict(batch_size=1)
