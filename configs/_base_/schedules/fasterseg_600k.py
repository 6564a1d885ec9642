"""Training of FasterSeg's derived networks as in its release: SGD 0.01, times 0.992 each 1,000 of 600,000 steps."""

optim_wrapper = dict(
    type="OptimWrapper", optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=5e-4), paramwise_cfg=dict()
)
param_scheduler = [dict(type="StepLR", step_size=1000, gamma=0.992, by_epoch=False)]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=600000, val_interval=20000)
