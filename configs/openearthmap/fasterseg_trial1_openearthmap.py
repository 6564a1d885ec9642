"""Search with FasterSeg on OpenEarthMap (OpenEarthMap paper, section 3.3 and Table 4), the first trial.

    python tools/search.py configs/openearthmap/fasterseg_trial1_openearthmap.py

It begins with fasterseg_pretrain_openearthmap.py, and writes architecture.json, retrain_teacher.py and retrain.py, to
be trained in this order.  Settings are those of FasterSeg's release.  Latency is that of multiply-adds, since the table
of the release is of its authors' GPU; for your own: model.latency.kind=measured model.latency.device=cuda.
Not run by us.
"""

_base_ = [
    "../_base_/models/fasterseg_search.py",
    "../_base_/datasets/openearthmap_fasterseg.py",
    "../_base_/schedules/fasterseg_22k.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=8))
search = dict(retrain="configs/openearthmap/fasterseg_openearthmap.py")
default_hooks = dict(
    start=dict(
        type="LoadPretrained",
        checkpoint="work_dirs/openearthmap/fasterseg_pretrain_openearthmap/iter_10000.pth",
    ),
    step_architecture=dict(type="mmseg.StepArchitecture", lr=3e-4, epoch=750),
    track_architecture=dict(type="mmseg.TrackArchitecture", interval=750),
)
randomness = dict(seed=1)
