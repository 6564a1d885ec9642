r"""SegEarth-OV3 (SAM 3), training-free, on the sets that GSNet is tested on.

    python tools/test_vocabulary.py configs/landdiscover/segearth_ov3_sam3.py
    rsseg map SRC DST --config configs/landdiscover/segearth_ov3_sam3.py --vocabulary "road, tree, \"building, roof\""

Needs the extra hf and SAM 3's weights (see configs/_base_/models/segearth_ov3.py); a folder of your own:
--cfg-options model.sam3.weights=FOLDER.  Nothing is trained, and there is no checkpoint.  Not run by us.
Tests ask for Potsdam's classes; tools/test_vocabulary.py tests on all four sets of GSNet's table 2.
Deviations: images are brought to 640 as for GSNet; windows of 512 with a stride of 512, as on OpenEarthMap.
"""

_base_ = ["../_base_/models/segearth_ov3.py", "../_base_/datasets/landdiscover.py", "../_base_/default_runtime.py"]

model = dict(vocabulary="potsdam")
test_evaluator = dict(only_true=True)
train_dataloader = None
val_dataloader = None
val_cfg = None
val_evaluator = None
