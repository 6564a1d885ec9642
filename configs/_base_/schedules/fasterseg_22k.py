"""FasterSeg's search as in its release: 30 epochs of 750 steps, SGD 0.01 times 0.978 each; clipped to 5."""

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=5e-4),
    clip_grad=dict(max_norm=5, norm_type=2),
)
param_scheduler = [dict(type="StepLR", step_size=750, gamma=0.978, by_epoch=False)]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=22500, val_interval=2250)
