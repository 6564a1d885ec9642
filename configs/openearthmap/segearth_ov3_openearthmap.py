r"""SegEarth-OV3 (SAM 3), training-free, on the validation list of OpenEarthMap.

    python tools/test.py configs/openearthmap/segearth_ov3_openearthmap.py

Needs the extra hf and SAM 3's weights (see configs/_base_/models/segearth_ov3.py).  Nothing is trained, and there is no
checkpoint.  Not run by us.
Deviations: each class by its name and by the words of the release; without a background, which OpenEarthMap does not
have as a class, while the release names one and gives it what is below 0.1.
"""

_base_ = ["../_base_/models/segearth_ov3.py", "../_base_/datasets/openearthmap.py", "../_base_/default_runtime.py"]

model = dict(vocabulary="openearthmap")
train_dataloader = None
val_dataloader = None
val_cfg = None
val_evaluator = None
