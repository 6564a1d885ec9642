r"""SegEarth-OV, training-free, on the sets that GSNet is tested on.

    python tools/test_vocabulary.py configs/landdiscover/segearth_ov_vitb16.py
    rsseg map SRC DST --config configs/landdiscover/segearth_ov_vitb16.py --vocabulary "road, tree, \"building, roof\""

Needs data/weights/ViT-B-16.pt and data/weights/xclip_jbu_one_million_aid.ckpt (see
configs/_base_/models/segearth_ov.py).  Nothing is trained, and there is no checkpoint.  Not run by us.
Tests ask for Potsdam's classes; tools/test_vocabulary.py tests on all four sets of GSNet's table 2.
Deviations: images are brought to 640 as for GSNet, then into 448.
"""

_base_ = ["../_base_/models/segearth_ov.py", "../_base_/datasets/landdiscover.py", "../_base_/default_runtime.py"]

model = dict(vocabulary="potsdam")
test_evaluator = dict(only_true=True)
train_dataloader = None
val_dataloader = None
val_cfg = None
val_evaluator = None
