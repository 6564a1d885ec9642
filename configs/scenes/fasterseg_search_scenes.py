"""Search with FasterSeg on procedural scenes, on a CPU: 6 layers, a third of the channels, three widths, from scratch.

    python tools/search.py configs/scenes/fasterseg_search_scenes.py

Needs data/scenes/landcover, see sparsemask_search_scenes.py.  Weights and architecture begin together, unlike in the
release, and in 40 steps: the architecture's rate is 100 times the release's, so that it can move by 1.  The latency's
weight is 30 times as large, since the network takes a thirtieth of the time.  Validation chooses the branches.
It shows that all runs; cost and scores: docs/results.md.
"""

_base_ = [
    "../_base_/models/fasterseg_search.py",
    "../_base_/datasets/scenes_landcover.py",
    "../_base_/schedules/cpu_300.py",
    "../_base_/default_runtime.py",
]

_widths = (0.5, 0.75, 1.0)
model = dict(
    backbone=dict(layers=6, base=4, widths=_widths, student_width=0.5),
    decode_head=dict(base=4, student_width=0.5, num_classes=8),
    latency=dict(size=(512, 512)),
    latency_weight=0.3,
    pair=None,
)
_sampler = dict(shares=[0.5, 0.5], counts=[2, 2])
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False, sampler=_sampler)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
default_hooks = dict(
    checkpoint=dict(interval=40),
    logger=dict(interval=10),
    step_architecture=dict(type="mmseg.StepArchitecture", lr=3e-2, epoch=20),
    track_architecture=dict(type="mmseg.TrackArchitecture", interval=20),
)
param_scheduler = [dict(type="CosineAnnealingLR", T_max=40, eta_min=0.0, begin=0, end=40, by_epoch=False)]
train_cfg = dict(max_iters=40, val_interval=40)
search = dict(retrain="configs/scenes/fasterseg_scenes.py")
