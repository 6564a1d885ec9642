"""Search with SparseMask on procedural scenes, on a CPU: a backbone of a quarter of the channels, from scratch.

    python tools/search.py configs/scenes/sparsemask_search_scenes.py

Needs data/scenes/landcover: python tools/make_scenes.py landcover data/scenes/landcover --count 60 --size 256 --val 12
--test 16 --seed 3.  120 steps instead of 63,750: an edge must be able to come from 1 to 0 within them, so edges have 30
times the rate of the weights, which Adam makes steps of up to 0.03 whatever the size of the gradient.  Its sign decides
then, and the sparsity term has to outweigh the segmentation loss, which the release's sparsity_weight of 0.01 leaves to
many small steps of SGD.  One run each: 0.2 kept 32 of 90 edges after 150 steps, 0.5 kept 16 after 100 (the authors'
mask for PASCAL VOC has 15).  Cost and scores: docs/results.md.
"""

_base_ = ["./sparsemask_scenes.py"]

_channels = [8, 8, 8, 8, 16, 24, 40, 80, 1280]
norm_cfg = dict(type="BN", momentum=0.05, requires_grad=False)  # from scratch the statistics have to move
model = dict(
    backbone=dict(norm_cfg=norm_cfg),
    decode_head=dict(
        _delete_=True,
        type="SparseMaskSearchHead",
        num_classes=8,
        in_channels=_channels,
        channels=32,
        sparsity_weight=0.5,
        norm_cfg=norm_cfg,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={"table": dict(lr_mult=30.0, decay_mult=0.0)}))
default_hooks = dict(
    checkpoint=dict(interval=120), track_architecture=dict(type="mmseg.TrackArchitecture", interval=40)
)
param_scheduler = [dict(type="CosineAnnealingLR", T_max=120, eta_min=0.0, begin=0, end=120, by_epoch=False)]
train_cfg = dict(max_iters=120, val_interval=120)
search = dict(retrain="configs/scenes/sparsemask_scenes.py")
