"""SAN's: AdamW 1e-4, no decay of norms and positions, gradients at most 0.01 long, straight to 0 in 60,000 steps."""

_fixed = dict(decay_mult=0.0)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=1e-4),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={"pos_embed": _fixed, "positional_embedding": _fixed},
    ),
    clip_grad=dict(max_norm=0.01, norm_type=2),
)
param_scheduler = [dict(type="PolyLR", power=1.0, eta_min=0.0, begin=0, end=60000, by_epoch=False)]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=60000)
