"""UPerNet ViT-B + RVSA on Potsdam from MAE on MillionAID (SAMRS paper, table 3, MAE).

    python tools/convert_weights.py vit-b-checkpoint-1599.pth data/weights/rvsa_b_mae.pth --backbone rvsa
    tools/dist_train.sh configs/potsdam/upernet_rvsa_potsdam.py 8

Expected (paper): OA 90.97, mF1 90.37.  Not run by us.
Crops, batch and deviations: as in upernet_swin_potsdam.py.
"""

_base_ = [
    "../_base_/models/upernet_rvsa.py",
    "../_base_/datasets/potsdam.py",
    "../_base_/schedules/finetune_80k_vit.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=5), test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)))
train_dataloader = dict(batch_size=1)
