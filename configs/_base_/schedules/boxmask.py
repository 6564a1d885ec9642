"""Box-to-mask networks on a CPU: AdamW, a slower encoder, cosine to 0; float32: its depthwise gradients are faster."""

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=2e-3, weight_decay=0.02),
    clip_grad=dict(max_norm=5, norm_type=2),
    paramwise_cfg=dict(custom_keys={"backbone": dict(lr_mult=0.25)}),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.05, begin=0, end=20, by_epoch=False),
    dict(type="CosineAnnealingLR", T_max=880, eta_min=0.0, begin=20, end=900, by_epoch=False),
]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=900, val_interval=900)
