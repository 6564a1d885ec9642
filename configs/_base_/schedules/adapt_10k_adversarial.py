"""As adapt_10k_sgd.py at half the rate, and Adam 1e-4 for each discriminator, clipped on its own."""

_base_ = ["./adapt_10k_sgd.py"]

clip = dict(max_norm=35, norm_type=2)
optim_wrapper = dict(
    _delete_=True,
    constructor="AdaptationOptimizers",
    network=dict(
        type="OptimWrapper",
        optimizer=dict(type="SGD", lr=0.005, momentum=0.9, weight_decay=5e-4),
        clip_grad=clip,
    ),
    discriminator=dict(type="OptimWrapper", optimizer=dict(type="Adam", lr=1e-4, betas=(0.9, 0.99)), clip_grad=clip),
)
