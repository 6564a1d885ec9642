r"""SegEarth-OV, training-free, on the validation part of iSAID.

    python tools/test.py configs/isaid/segearth_ov_isaid.py

Needs data/weights/ViT-B-16.pt and data/weights/xclip_jbu_one_million_aid.ckpt (see
configs/_base_/models/segearth_ov.py).  Nothing is trained, and there is no checkpoint.  Not run by us.
Deviations: the background is not scored, as in all tests on iSAID here; the release counts it as a class.
"""

_base_ = ["../_base_/models/segearth_ov.py", "../_base_/datasets/isaid.py", "../_base_/default_runtime.py"]

model = dict(vocabulary="isaid", background="background", background_threshold=0.4)
train_dataloader = None
val_dataloader = None
val_cfg = None
val_evaluator = None
