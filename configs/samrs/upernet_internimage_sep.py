"""SEP of UPerNet InternImage-T from ImageNet (SAMRS paper, table 9, IMP+SEP).

    python tools/convert_weights.py internimage_t_1k_224.pth data/weights/internimage_t_imagenet.pth
    tools/dist_train.sh configs/samrs/upernet_internimage_sep.py 8

Expected (paper): mIoU 58.07 / 72.04 / 29.33 on the validation sets; 78.06 / 92.51 / 45.70 on images of 224, which is
`python tools/test.py CONFIG CHECKPOINT --cfg-options test_dataloader.dataset.pipeline.2.input_size=224,224`.  Not run
by us.
Batch, crops and deviations: as in upernet_swin_sep.py.
"""

_base_ = [
    "../_base_/models/upernet_internimage.py",
    "../_base_/datasets/samrs.py",
    "../_base_/schedules/sep_80k_internimage.py",
    "../_base_/default_runtime.py",
]

model = dict(type="MultiHeadSegmentor", heads=dict(sota=18, sior=20, fast=37))
train_dataloader = dict(batch_size=12, num_workers=8)
