"""The settings of cpu_300.py for half as many iterations."""

_base_ = ["./cpu_300.py"]

param_scheduler = [dict(type="CosineAnnealingLR", T_max=150, eta_min=0.0, begin=0, end=150, by_epoch=False)]
train_cfg = dict(max_iters=150, val_interval=150)
