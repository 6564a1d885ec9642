"""SAN trained on COCO-Stuff, fine-tuned on LandDiscover50K (GSNet paper, table 2).

    python tools/convert_weights.py data/weights/san-vit-b16_20230906-fd0a7684.pth data/weights/san_vitb16_coco.pth
    python tools/train.py configs/landdiscover/san_vitb16_from_coco.py --amp

The first file is mmseg's san-vit-b16_coco-stuff164k-640x640, from its model zoo (configs/san).
Expected (GSNet paper; mIoU): FLAIR 19.91, FAST 15.30, Potsdam 19.91, FloodNet 35.75, mean 22.71.  Not run by us.
Not in the paper: which model it starts from, and the recipe; here and for deviations see san_vitb16.py.
"""

_base_ = [
    "../_base_/models/san.py",
    "../_base_/datasets/landdiscover_640.py",
    "../_base_/schedules/san_60k.py",
    "../_base_/default_runtime.py",
]

model = dict(vocabulary="landdiscover", clip=dict(weights=None))
default_hooks = dict(start=dict(type="LoadPretrained", checkpoint="data/weights/san_vitb16_coco.pth"))
val_cfg = None
val_evaluator = None
test_evaluator = dict(only_true=True)
