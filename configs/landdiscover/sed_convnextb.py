r"""SED with CLIP ConvNeXt-B on LandDiscover50K alone (GSNet paper, table 2).

    python tools/train.py configs/landdiscover/sed_convnextb.py

Expected (GSNet paper; mIoU): FLAIR 14.65, FAST 12.63, Potsdam 28.64, FloodNet 22.57, mean 19.62.  Not run by us.
Not in the paper: size, batch, iterations, rates, templates.  Here SED's own on COCO-Stuff: 768 x 768, 4 images, 80,000
iterations (6.2 epochs; GSNet itself has 2.3), 80 templates.  The release scores pixels at a fourth of 768.
Off by default, on by model.release_defects=True: images that are no squares are squeezed to one (here the longer side
gets 768, the other the nearest multiple of 32); below 192 pixels scores are cut instead of resized; the losses of the
three coarser maps do not train what is before their heads.  test_cfg.fast=8 is the release's fast inference.
Batches of 4 need much memory; model.decoder.checkpointing=True computes the stages twice instead.
"""

_base_ = [
    "../_base_/models/sed.py",
    "../_base_/datasets/landdiscover_768.py",
    "../_base_/schedules/sed_80k.py",
    "../_base_/default_runtime.py",
]

model = dict(vocabulary="landdiscover")
# tests ask for Potsdam's classes; tools/test_vocabulary.py tests on all four sets of table 2
val_cfg = None
val_evaluator = None
test_evaluator = dict(only_true=True)
