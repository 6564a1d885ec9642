"""Mask2Former ResNet-50 on iSAID from ImageNet (no row of the SAMRS paper).

    tools/dist_train.sh configs/isaid/mask2former_r50_isaid.py 8

Not run by us.
Crops, batch and deviations: as in upernet_swin_isaid.py.
Deviation: Mask2Former's own settings; the paper's: as in configs/potsdam/mask2former_r50_release_potsdam.py.
"""

_base_ = [
    "../_base_/models/mask2former_r50.py",
    "../_base_/datasets/isaid.py",
    "../_base_/schedules/mask2former_80k.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=16), test_cfg=dict(mode="slide", crop_size=(896, 896), stride=(598, 598)))
train_dataloader = dict(batch_size=1)
