r"""SegEarth-OV, training-free, on the validation part of LoveDA.

    python tools/test.py configs/loveda/segearth_ov_loveda.py

Needs data/weights/ViT-B-16.pt and data/weights/xclip_jbu_one_million_aid.ckpt (see
configs/_base_/models/segearth_ov.py).  Nothing is trained, and there is no checkpoint.  Not run by us.
Deviations: float32, where the release computes in float16.
"""

_base_ = ["../_base_/models/segearth_ov.py", "../_base_/datasets/loveda.py", "../_base_/default_runtime.py"]

model = dict(vocabulary="loveda", background="background", background_threshold=0.3)
train_dataloader = None
val_dataloader = None
val_cfg = None
val_evaluator = None
