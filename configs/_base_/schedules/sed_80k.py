"""SED's release: AdamW 2e-4, CLIP a hundredth of it, gradients at most 0.01 long, cosine to 0 in 80,000 steps.

Norms do not decay but for those of the decoder's ConvNeXt blocks, which are no norms to the release.
"""

_slow, _norm = dict(lr_mult=0.01), dict(lr_mult=0.01, decay_mult=0.0)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=2e-4, betas=(0.9, 0.999), weight_decay=1e-4),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={  # the longest that fits a name counts
            "clip.": _slow,
            ".norm.": _norm,
            "cnext.norm.": dict(),
            "downsample.0.": _norm,
            "trunk.stem.1.": _norm,
        },
    ),
    clip_grad=dict(max_norm=0.01, norm_type=2),
)
param_scheduler = [dict(type="CosineAnnealingLR", T_max=80000, eta_min=0.0, begin=0, end=80000, by_epoch=False)]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=80000)
