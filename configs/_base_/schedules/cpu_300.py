"""A few hundred iterations on a CPU: AdamW, cosine to 0."""

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=5, norm_type=2),
)
param_scheduler = [dict(type="CosineAnnealingLR", T_max=300, eta_min=0.0, begin=0, end=300, by_epoch=False)]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=300, val_interval=300)
