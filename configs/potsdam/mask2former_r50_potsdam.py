"""Mask2Former ResNet-50 on Potsdam from ImageNet (SAMRS paper, table 3, IMP).

    tools/dist_train.sh configs/potsdam/mask2former_r50_potsdam.py 8

Expected (paper): OA 87.54, mF1 86.87.  Not run by us.
Crops, batch and deviations: as in upernet_swin_potsdam.py.
Deviation: Mask2Former's own settings; those of the paper stand in mask2former_r50_release_potsdam.py.
"""

_base_ = [
    "../_base_/models/mask2former_r50.py",
    "../_base_/datasets/potsdam.py",
    "../_base_/schedules/mask2former_80k.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=5), test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)))
train_dataloader = dict(batch_size=1)
