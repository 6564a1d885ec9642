"""DINO by Caron et al. 2021 and their release: AdamW, 5e-4 per 256 images of the batch, 10 epochs of warm-up, cosine.

300 epochs of LandDiscover50K's 51,846 images in batches of 256: 202 iterations each, 60,600 in all.
"""

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=5e-4, betas=(0.9, 0.999), weight_decay=0.04),
    # two groups, of which norms and biases do not decay; the same rate for all layers
    constructor="mmseg.LayerDecayConstructor",
    paramwise_cfg=dict(layer_decay_rate=1.0, samrs_compat=True, no_decay=[]),
)
auto_scale_lr = dict(enable=True, base_batch_size=256)  # by the batch of all processes
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, begin=0, end=2020, by_epoch=False),
    dict(type="CosineAnnealingLR", T_max=58580, eta_min=1e-6, begin=2020, end=60600, by_epoch=False),
    # weight decay from 0.04 to 0.4; what does not decay stays so
    dict(
        type="CosineAnnealingParamScheduler", param_name="weight_decay", eta_min_ratio=10, T_max=60600, by_epoch=False
    ),
]
self_distillation = dict(
    type="mmseg.SelfDistillation",
    epoch=202,
    temperature=(0.04, 0.07),
    temperature_epochs=30,
    momentum=(0.996, 1.0),
    frozen_epochs=1,
    clip=3.0,
)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=60600)
