"""SEP of Mask2Former ResNet-50 from ImageNet (SAMRS paper, section A.5, IMP+SEP).

    tools/dist_train.sh configs/samrs/mask2former_r50_sep.py 8

Expected (paper): mIoU close to 0 on the validation sets.  Not run by us.
Batch, crops and deviations: as in upernet_swin_sep.py; Mask2Former's own settings, those of the paper stand in
mask2former_r50_release_sep.py.
"""

_base_ = [
    "../_base_/models/mask2former_r50.py",
    "../_base_/datasets/samrs.py",
    "../_base_/schedules/mask2former_80k.py",
    "../_base_/default_runtime.py",
]

model = dict(type="MultiHeadMask2Former", heads=dict(sota=18, sior=20, fast=37))
train_dataloader = dict(batch_size=12, num_workers=8)
