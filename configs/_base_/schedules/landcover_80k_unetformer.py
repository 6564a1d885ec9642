"""Land cover with UNetFormer, rates of its release: AdamW 6e-4, the encoder a tenth, cosine to 1e-6 over 80k.

Not taken over: the release's lookahead around AdamW, and its restarts for the variant with Swin.
"""

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=6e-4, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
)
param_scheduler = [dict(type="CosineAnnealingLR", T_max=80000, eta_min=1e-6, begin=0, end=80000, by_epoch=False)]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=80000, val_interval=4000)
