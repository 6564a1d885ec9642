"""LoveDA's release for targets such as Rural: SGD 0.01, 750 iterations of warm-up, poly 0.9 of 15k, stop at 10k."""

optim_wrapper = dict(
    type="OptimWrapper",
    constructor="AdaptationOptimizers",
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=5e-4),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [dict(type="WarmupPoly", warmup=750, total=15000, power=0.9, by_epoch=False)]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=10000, val_interval=2000)
