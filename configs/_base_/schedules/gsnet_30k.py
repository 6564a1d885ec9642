"""GSNet's release: AdamW 2e-4, CLIP a hundredth of it, norms do not decay, gradients at most 0.01 long, cosine to 0.

The release plans 30,002 iterations and takes the checkpoint of the 30,000th.
"""

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=2e-4, betas=(0.9, 0.999), weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={"clip.": dict(lr_mult=0.01)}, norm_decay_mult=0.0),
    clip_grad=dict(max_norm=0.01, norm_type=2),
)
param_scheduler = [dict(type="CosineAnnealingLR", T_max=30002, eta_min=0.0, begin=0, end=30002, by_epoch=False)]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=30000)
