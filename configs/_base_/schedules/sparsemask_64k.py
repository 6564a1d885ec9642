"""SparseMask's settings, search and retraining: SGD 0.005, decoder and edges tenfold, poly 0.9 to 0, batch 16.

63,750 iterations as in the name of the checkpoint released for OpenEarthMap; 50 epochs in the release of SparseMask.
"""

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.005, momentum=0.9, weight_decay=4e-5),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10.0))),
)
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0.0, begin=0, end=63750, by_epoch=False)]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=63750, val_interval=3750)
