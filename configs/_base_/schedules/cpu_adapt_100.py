"""100 iterations of domain adaptation on a CPU: AdamW, a short warm-up, cosine to 0; the last checkpoint counts."""

optim_wrapper = dict(
    type="OptimWrapper",
    constructor="AdaptationOptimizers",
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=5, norm_type=2),
    paramwise_cfg=dict(custom_keys=dict(convs=dict(lr_mult=0.2))),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, begin=0, end=10, by_epoch=False),
    dict(type="CosineAnnealingLR", T_max=100, eta_min=0.0, begin=0, end=100, by_epoch=False),
]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=100, val_interval=100)
