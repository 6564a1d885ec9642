"""SEP of UPerNet Swin-T on SOTA, SIOR and FAST: one encoder and decoder, three heads (SAMRS paper, section 4.1).

    tools/dist_train.sh configs/samrs/upernet_swin_sep.py 8

Batch 12 per GPU on 8 GPUs = 96, 80k iterations, crops of 224.  Expected (paper): mIoU 81.53 / 94.64 / 57.91 on the
middle 512 x 512 pixels of the validation sets (table 9); after fine-tuning on Potsdam OA 91.88, mF1 92.23 (table 3),
which rest on an evaluation that counts ignored pixels as cars (docs/design.md).  Not run by us.

Deviations: the batch of all GPUs is divided exactly (96 = 18 + 12 + 66 for the full sets; the release has 2 + 1 + 8 per
GPU, 88 in all); it runs through the shared part at once, so batch statistics are those of all sets; validation splits
are by source image.
"""

_base_ = [
    "../_base_/models/upernet_swin.py",
    "../_base_/datasets/samrs.py",
    "../_base_/schedules/sep_80k.py",
    "../_base_/default_runtime.py",
]

model = dict(type="MultiHeadSegmentor", heads=dict(sota=18, sior=20, fast=37))
train_dataloader = dict(batch_size=12, num_workers=8)
