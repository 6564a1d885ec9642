"""SCAN trained on COCO-Stuff, fine-tuned on LandDiscover50K (GSNet paper, table 2).

    python tools/convert_weights.py scan_vitb.pth data/weights/scan_vitb16_coco.pth
    python tools/train.py configs/landdiscover/scan_vitb16_from_coco.py

The first file is of a training of the release on COCO-Stuff (its configs/scan_vitB.yaml): only a model with ViT-L is
published (CC BY-NC 4.0).  Its decoder has ten layers, all of whose outputs have a loss here.
Expected (GSNet paper; mIoU): FLAIR 19.19, FAST 10.02, Potsdam 5.68, FloodNet 36.61, mean 17.87.  Not run by us.
Not in the paper: which model it starts from, and the recipe; here and for deviations see scan_vitb16.py.
"""

_base_ = [
    "../_base_/models/scan.py",
    "../_base_/datasets/landdiscover_640_wide.py",
    "../_base_/schedules/scan_30k.py",
    "../_base_/default_runtime.py",
]

model = dict(
    vocabulary="landdiscover",
    clip=dict(weights=None),
    backbone=dict(init_cfg=None),
    proposals=dict(decoder_layers=10),
)
default_hooks = dict(start=dict(type="LoadPretrained", checkpoint="data/weights/scan_vitb16_coco.pth"))
# tests ask for Potsdam's classes; tools/test_vocabulary.py tests on all four sets of table 2
val_cfg = None
val_evaluator = None
test_evaluator = dict(only_true=True)
