"""SEP of UPerNet ViTAEv2-S from ImageNet (SAMRS paper, table 9, IMP+SEP).

    python tools/convert_weights.py ViTAEv2-S.pth.tar data/weights/vitaev2_s_imagenet.pth
    tools/dist_train.sh configs/samrs/upernet_vitae_sep.py 8

Expected (paper): mIoU 81.13 / 94.06 / 57.90 on the validation sets.  Not run by us.
Batch, crops and deviations: as in upernet_swin_sep.py.
"""

_base_ = [
    "../_base_/models/upernet_vitae.py",
    "../_base_/datasets/samrs.py",
    "../_base_/schedules/sep_80k.py",
    "../_base_/default_runtime.py",
]

model = dict(type="MultiHeadSegmentor", heads=dict(sota=18, sior=20, fast=37))
train_dataloader = dict(batch_size=12, num_workers=8)
