"""Fine-tuning with few labels for ResNet: rates as in finetune_80k_resnet.py, 4k iterations.

At a batch of 8, 5 % of Potsdam (433 tiles) or iSAID (about 1,681) are then seen as often as all of it in 80k.  Smaller
shares are seen more often; the SAMRS paper does not say how long it trained with them.
"""

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, betas=(0.9, 0.999), weight_decay=1e-4),
    clip_grad=dict(max_norm=5, norm_type=2),
)
param_scheduler = [dict(type="CosineAnnealingLR", T_max=4000, eta_min=5e-6, begin=0, end=4000, by_epoch=False)]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=4000, val_interval=4000)
