"""Search with SparseMask on procedural scenes, on a CPU: a backbone of a quarter of the channels, from scratch.

    python tools/search.py configs/scenes/sparsemask_search_scenes.py

Needs data/scenes/landcover: python tools/make_scenes.py landcover data/scenes/landcover --count 60 --size 256 --val 8
--test 8 --seed 3.  It shows that all runs; cost and scores: docs/results.md.
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
        sparsity_weight=0.02,
        norm_cfg=norm_cfg,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={"table": dict(lr_mult=60.0, decay_mult=0.0)}))
default_hooks = dict(track_architecture=dict(type="mmseg.TrackArchitecture", interval=50))
search = dict(retrain="configs/scenes/sparsemask_scenes.py")
