"""SEP of UNet ResNet-50 on SOTA, SIOR and FAST: one encoder and decoder, three 3x3 heads (SAMRS paper, section 4.1).

    tools/dist_train.sh configs/samrs/unet_r50_sep.py 8

Batch 12 per GPU on 8 GPUs = 96, 80k iterations, crops of 224, rates as in upernet_r50_sep.py.  Expected (paper): mIoU
on the validation sets 58.62 / 80.49 / 37.20 (table 9); after fine-tuning on Potsdam OA 90.29, mF1 90.82 (table 3).
Not run by us.  Deviations: as in upernet_swin_sep.py; the head is the release's, not the printed one.
"""

_base_ = [
    "../_base_/models/unet_r50.py",
    "../_base_/datasets/samrs.py",
    "../_base_/schedules/sep_80k_resnet.py",
    "../_base_/default_runtime.py",
]

model = dict(type="MultiHeadSegmentor", heads=dict(sota=18, sior=20, fast=37))
train_dataloader = dict(batch_size=12, num_workers=8)
