"""OV-Seg's, of a quarter of the length: AdamW 2e-4, the backbone a tenth of it, 1,500 steps of warm-up, then to 0.

Norms and embeddings do not decay; gradients are at most 0.01 long.
"""

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=2e-4, betas=(0.9, 0.999), weight_decay=1e-4),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={"backbone.": dict(lr_mult=0.1), "query_embed": dict(decay_mult=0.0)},
    ),
    clip_grad=dict(max_norm=0.01, norm_type=2),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(type="PolyLR", power=0.9, eta_min=0.0, begin=0, end=30000, by_epoch=False),
]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=30000)
