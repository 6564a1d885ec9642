"""SEP of UPerNet ResNet-50 on SOTA, SIOR and FAST (SAMRS paper, section 4.1).

    tools/dist_train.sh configs/samrs/upernet_r50_sep.py 8

Batch 12 per GPU on 8 GPUs = 96, 80k iterations, crops of 224, AdamW 1e-3 on all parameters, weight decay 0.05,
cosine to 5e-6.  Expected (paper): mIoU 73.59 / 88.59 / 47.10 on the validation sets (table 9); after fine-tuning on
Potsdam OA 90.27, mF1 90.76 (table 3).  Not run by us.
Deviations: as in upernet_swin_sep.py.
"""

_base_ = [
    "../_base_/models/upernet_r50.py",
    "../_base_/datasets/samrs.py",
    "../_base_/schedules/sep_80k_resnet.py",
    "../_base_/default_runtime.py",
]

model = dict(type="MultiHeadSegmentor", heads=dict(sota=18, sior=20, fast=37))
train_dataloader = dict(batch_size=12, num_workers=8)
