r"""SAN with CLIP ViT-B/16 on LandDiscover50K alone (GSNet paper, table 2).

    python tools/train.py configs/landdiscover/san_vitb16.py --amp
    tools/dist_train.sh configs/landdiscover/san_vitb16.py 4

Expected (GSNet paper; mIoU): FLAIR 22.48, FAST 16.21, Potsdam 10.01, FloodNet 30.28, mean 19.74.  Not run by us.
Not in the paper: the recipe; here SAN's own on COCO-Stuff, 8 images on each of four GPUs.
Deviations from SAN: one prompt, "A photo of a ... in the scene", where it averages 14; images are squeezed to squares
of 640, where it keeps their sides' ratio; scores of a pixel are divided by their sum where it is above 1.
"""

_base_ = [
    "../_base_/models/san.py",
    "../_base_/datasets/landdiscover_640.py",
    "../_base_/schedules/san_60k.py",
    "../_base_/default_runtime.py",
]

model = dict(vocabulary="landdiscover")
# tests ask for Potsdam's classes; tools/test_vocabulary.py tests on all four sets of table 2
val_cfg = None
val_evaluator = None
test_evaluator = dict(only_true=True)
