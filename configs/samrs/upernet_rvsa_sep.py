"""SEP of UPerNet ViT-B + RVSA from MAE on MillionAID (SAMRS paper, table 9, MAE+SEP).

    python tools/convert_weights.py vit-b-checkpoint-1599.pth data/weights/rvsa_b_mae.pth --backbone rvsa
    tools/dist_train.sh configs/samrs/upernet_rvsa_sep.py 8

Expected (paper): mIoU 79.00 / 92.09 / 53.46 on the validation sets.  Not run by us.
Batch, crops and deviations: as in upernet_swin_sep.py.
"""

_base_ = [
    "../_base_/models/upernet_rvsa.py",
    "../_base_/datasets/samrs.py",
    "../_base_/schedules/sep_80k_vit.py",
    "../_base_/default_runtime.py",
]

model = dict(type="MultiHeadSegmentor", heads=dict(sota=18, sior=20, fast=37))
train_dataloader = dict(batch_size=12, num_workers=8)
