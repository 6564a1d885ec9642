"""Fine-tuning of the SAMRS paper (tables 7 and 8) for Swin and ViTAEv2: AdamW 6e-5, decay 0.01, cosine to 0 over 80k.

The paper says iterations; its release runs 75 epochs, which are 81k for Potsdam, and changes the rate once an epoch.
"""

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    clip_grad=dict(max_norm=5, norm_type=2),
    paramwise_cfg=dict(custom_keys=dict(relative_position_bias_table=dict(decay_mult=0.0), norm=dict(decay_mult=0.0))),
)
param_scheduler = [dict(type="CosineAnnealingLR", T_max=80000, eta_min=0.0, begin=0, end=80000, by_epoch=False)]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=80000, val_interval=8000)
