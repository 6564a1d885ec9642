"""OV-Seg of its release, trained on COCO-Stuff, fine-tuned on LandDiscover50K (GSNet paper, table 2).

    python tools/convert_weights.py ovseg_R101c_vitB16_ft_mpt.pth data/weights/ovseg_vitb16_coco.pth
    python tools/train.py configs/landdiscover/ovseg_vitb16_from_coco.py

The first file is OV-Seg's published base model (CC BY-NC 4.0), whose CLIP was adapted to masks and has mask prompts.
Expected (GSNet paper; mIoU): FLAIR 10.32, FAST 9.10, Potsdam 4.93, FloodNet 27.78, mean 13.03.  Not run by us.
Not in the paper: which model it starts from, and the recipe; here and for deviations see ovseg_vitb16.py.
"""

_base_ = [
    "../_base_/models/ovseg.py",
    "../_base_/datasets/landdiscover_512.py",
    "../_base_/schedules/ovseg_30k.py",
    "../_base_/default_runtime.py",
]

model = dict(vocabulary="landdiscover", mask_prompt=3, clip=dict(weights=None), backbone=dict(init_cfg=None))
default_hooks = dict(start=dict(type="LoadPretrained", checkpoint="data/weights/ovseg_vitb16_coco.pth"))
# tests ask for Potsdam's classes; tools/test_vocabulary.py tests on all four sets of table 2
val_cfg = None
val_evaluator = None
test_evaluator = dict(only_true=True)
