"""SEP of UPerNet ViT-B from ImageNet (SAMRS paper, table 9, IMP+SEP).

    python tools/convert_weights.py FILE data/weights/vit_b_imagenet.pth
    tools/dist_train.sh configs/samrs/upernet_vit_sep.py 8

Expected (paper): mIoU 79.37 / 92.76 / 53.05 on the validation sets.  Not run by us.
Batch, crops and deviations: as in upernet_swin_sep.py.
FILE: deit_base_patch16_224-b5f2ef4d.pth.
"""

_base_ = [
    "../_base_/models/upernet_vit.py",
    "../_base_/datasets/samrs.py",
    "../_base_/schedules/sep_80k_vit.py",
    "../_base_/default_runtime.py",
]

model = dict(type="MultiHeadSegmentor", heads=dict(sota=18, sior=20, fast=37))
train_dataloader = dict(batch_size=12, num_workers=8)
