"""GSNet on LandDiscover50K with random scales and real crops, and without the loss of pixels that have no label.

    python tools/train.py configs/landdiscover/gsnet_vitb16_crop.py

The release sees every image squeezed to 384 x 384, that is two to three times smaller, at one scale; and its loss makes
pixels without a label examples against all 40 classes.  Expected: no published number.  Not run by us.
"""

_base_ = [
    "../_base_/models/gsnet.py",
    "../_base_/datasets/landdiscover_crop.py",
    "../_base_/schedules/gsnet_30k.py",
    "../_base_/default_runtime.py",
]

model = dict(vocabulary="landdiscover", ignore_background_in_loss=True)
val_cfg = None
val_evaluator = None
test_evaluator = dict(only_true=True)
