"""As cpu_adapt_100.py, with Adam for each discriminator."""

_base_ = ["./cpu_adapt_100.py"]

optim_wrapper = dict(
    _delete_=True,
    constructor="AdaptationOptimizers",
    network=dict(
        type="OptimWrapper",
        optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.01),
        clip_grad=dict(max_norm=5, norm_type=2),
        paramwise_cfg=dict(custom_keys=dict(convs=dict(lr_mult=0.2))),
    ),
    discriminator=dict(type="OptimWrapper", optimizer=dict(type="Adam", lr=1e-3, betas=(0.9, 0.99))),
)
