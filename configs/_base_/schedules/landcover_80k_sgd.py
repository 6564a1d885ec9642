"""Land cover with convolutional networks, mmsegmentation's usual settings: SGD 0.01, poly 0.9 to 1e-4 over 80k."""

optim_wrapper = dict(
    type="OptimWrapper", optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=5e-4), paramwise_cfg=dict()
)
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=1e-4, begin=0, end=80000, by_epoch=False)]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=80000, val_interval=4000)
