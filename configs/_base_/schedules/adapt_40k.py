"""DAFormer's schedule: AdamW 6e-5, the head at ten times the rate, linear warm-up of 1500 times linear decay to 40k."""

optim_wrapper = dict(
    type="OptimWrapper",
    constructor="AdaptationOptimizers",
    optimizer=dict(type="AdamW", lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    # no decay in the encoder's normalisations, also where their names do not say so (layers.0.2 of MiT)
    paramwise_cfg=dict(norm_decay_mult=0.0, custom_keys=dict(decode_head=dict(lr_mult=10.0))),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, begin=0, end=1501, by_epoch=False),
    # schedules of mmengine reach their last value at end - 1
    dict(type="PolyLR", power=1.0, eta_min=0.0, begin=0, end=40001, by_epoch=False),
]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=40000, val_interval=4000)
