"""Masked autoencoding by the MAE paper (table 8): AdamW, 1.5e-4 per 256 images of the batch, warm-up, cosine to 0.

1600 epochs of SAMRS's 609,707 crops in batches of 4096 are 238,000 iterations, the first 40 epochs 5,950.
"""

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1.5e-4, betas=(0.9, 0.95), weight_decay=0.05),
    paramwise_cfg=dict(flat_decay_mult=0.0),  # norms and biases do not decay
)
auto_scale_lr = dict(enable=True, base_batch_size=256)  # by the batch of all processes
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-4, begin=0, end=5950, by_epoch=False),
    dict(type="CosineAnnealingLR", T_max=232050, eta_min=0.0, begin=5950, end=238000, by_epoch=False),
]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=238000)
