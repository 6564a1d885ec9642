"""U-Net with EfficientNet-B4 and scSE on OpenEarthMap, from DeepGlobe: 20 epochs (OpenEarthMap paper, section 5).

    python tools/train.py configs/openearthmap/unet_effb4_from_deepglobe_openearthmap.py

Encoder and decoder transfer, the classifier is new.  First: configs/deepglobe/unet_effb4_deepglobe.py;
other weights: --cfg-options default_hooks.start.checkpoint=FILE.  A validation ends every epoch.  Not run by us.
The paper goes the other way only.  Three runs, as in the paper: --cfg-options randomness.seed=...
"""

_base_ = ["./unet_effb4_openearthmap.py"]

model = dict(backbone=dict(init_cfg=None))
epoch = 375  # 3,000 images in batches of 8
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0.0, begin=0, end=20 * epoch, by_epoch=False)]
train_cfg = dict(max_iters=20 * epoch, val_interval=epoch)
checkpoint = "work_dirs/deepglobe/unet_effb4_deepglobe/iter_80000.pth"
default_hooks = dict(start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.conv_seg"]))
