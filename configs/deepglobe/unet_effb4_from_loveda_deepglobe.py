"""U-Net with EfficientNet-B4 and scSE on DeepGlobe, from LoveDA: 20 epochs (OpenEarthMap paper, section 5).

    python tools/train.py configs/deepglobe/unet_effb4_from_loveda_deepglobe.py

Encoder and decoder transfer, the classifier is new.  First: configs/loveda/unet_effb4_loveda.py;
other weights: --cfg-options default_hooks.start.checkpoint=FILE.  A validation ends every epoch.  Not run by us.
Expected (paper): figure 9a, without numbers.  Three runs, as in the paper: --cfg-options randomness.seed=...
"""

_base_ = ["./unet_effb4_deepglobe.py"]

model = dict(backbone=dict(init_cfg=None))
epoch = 321  # four tiles of each of 642 images in batches of 8
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0.0, begin=0, end=20 * epoch, by_epoch=False)]
train_cfg = dict(max_iters=20 * epoch, val_interval=epoch)
checkpoint = "work_dirs/loveda/unet_effb4_loveda/iter_80000.pth"
default_hooks = dict(start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.conv_seg"]))
