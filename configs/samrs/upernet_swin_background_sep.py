"""SEP of UPerNet Swin-T as upernet_swin_sep.py, with background as a class of every head: a model for maps.

    tools/dist_train.sh configs/samrs/upernet_swin_background_sep.py 8

The SAMRS paper trains on the pixels of objects alone, so its models give every pixel of a map one of their classes, and
no score shows it.  Here what the conversion leaves unlabelled (255) is trained, scored and mapped as `background`.
Objects that nobody annotated become background, too.  Expected: not run by us.
"""

_base_ = [
    "../_base_/models/upernet_swin.py",
    "../_base_/datasets/samrs_background.py",
    "../_base_/schedules/sep_80k.py",
    "../_base_/default_runtime.py",
]

model = dict(type="MultiHeadSegmentor", heads=dict(sota=19, sior=21, fast=38))
train_dataloader = dict(batch_size=12, num_workers=8)
