"""Land cover with U-Nets: Adam 1e-4 as in OpenEarthMap's own repository, poly 0.9 to 0 over 80k."""

optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="Adam", lr=1e-4))
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0.0, begin=0, end=80000, by_epoch=False)]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=80000, val_interval=4000)
