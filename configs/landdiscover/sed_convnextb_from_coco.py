"""SED of its release, trained on COCO-Stuff, fine-tuned on LandDiscover50K (GSNet paper, table 2).

    python tools/convert_weights.py data/weights/sed_model_base.pth data/weights/sed_convnextb_coco.pth
    python tools/train.py configs/landdiscover/sed_convnextb_from_coco.py

The first file is SED's published ConvNeXt-B model (github.com/xb534/SED).
Expected (GSNet paper; mIoU): FLAIR 18.59, FAST 12.90, Potsdam 28.16, FloodNet 31.65, mean 22.83.  Not run by us.
Not in the paper: which model it starts from, and the recipe; here and for deviations see sed_convnextb.py.
"""

_base_ = [
    "../_base_/models/sed.py",
    "../_base_/datasets/landdiscover_768.py",
    "../_base_/schedules/sed_80k.py",
    "../_base_/default_runtime.py",
]

model = dict(vocabulary="landdiscover", clip=dict(weights=None))
default_hooks = dict(start=dict(type="LoadPretrained", checkpoint="data/weights/sed_convnextb_coco.pth"))
val_cfg = None
val_evaluator = None
test_evaluator = dict(only_true=True)
