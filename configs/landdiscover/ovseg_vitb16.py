r"""OV-Seg with ResNet-101c and CLIP ViT-B/16 on LandDiscover50K alone (GSNet paper, table 2).

    python tools/convert_weights.py hf://timm/resnet101s.gluon_in1k/model.safetensors data/weights/resnet101s.pth
    python tools/train.py configs/landdiscover/ovseg_vitb16.py
    tools/dist_train.sh configs/landdiscover/ovseg_vitb16.py 4

Expected (GSNet paper; mIoU): FLAIR 13.65, FAST 7.47, Potsdam 5.02, FloodNet 15.17, mean 10.33.  Not run by us.
Not in the paper: size, batch, iterations, rates, templates, and whether CLIP was adapted to masks.  Here OV-Seg's own
on COCO-Stuff, 8 images on each of four GPUs, crops of 512, tests at 512, ViLD's 14 templates, CLIP's share 0.7; but
30,000 iterations (18.5 epochs) instead of 120,000 (GSNet itself has 2.3), timm's weights for the same backbone in
place of detectron2's, and OpenAI's CLIP without mask prompts, which start at zero and serve only a CLIP adapted to
masks.  CLIP sees each of up to 100 regions of an image in tests, so that tests are slow.
Off by default, on by model.release_defects=True: a query with an empty mask gets more of CLIP's share than any other
(here its own probability stands for CLIP's).  The release fails for an image with one mask or none; this does not.
Scores of a pixel are divided by their sum where it is above 1.
"""

_base_ = [
    "../_base_/models/ovseg.py",
    "../_base_/datasets/landdiscover_512.py",
    "../_base_/schedules/ovseg_30k.py",
    "../_base_/default_runtime.py",
]

model = dict(vocabulary="landdiscover")
# tests ask for Potsdam's classes; tools/test_vocabulary.py tests on all four sets of table 2
val_cfg = None
val_evaluator = None
test_evaluator = dict(only_true=True)
