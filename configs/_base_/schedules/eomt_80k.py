"""EoMT: AdamW 1e-4 with a layer decay of 0.8, weight decay 0.05, linear warm-up, then poly 0.9 to 0 over 80k.

Deviation: the release warms up its head for 500 iterations, then the encoder for 1000; here both for 1500.
Gradients are clipped to 0.01, as in Mask2Former.
"""

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=dict(max_norm=0.01, norm_type=2),
    constructor="LayerDecayConstructor",
    paramwise_cfg=dict(layer_decay_rate=0.8),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(type="PolyLR", power=0.9, eta_min=0.0, begin=1500, end=80000, by_epoch=False),
]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=80000, val_interval=8000)
