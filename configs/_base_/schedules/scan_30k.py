"""SCAN's, of a quarter of the length: AdamW 6e-5 for all parts, 1,500 steps of warm-up, then to 0.

Norms, embeddings and tables of relative positions do not decay, all else by 0.01; gradients are at most 0.01 long.
"""

_fixed = dict(decay_mult=0.0)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={
            "query_embed": _fixed,
            "query_feat": _fixed,
            "level_embed": _fixed,
            "relative_position_bias_table": _fixed,
        },
    ),
    clip_grad=dict(max_norm=0.01, norm_type=2),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(type="PolyLR", power=0.9, eta_min=0.0, begin=0, end=30000, by_epoch=False),
]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=30000)
