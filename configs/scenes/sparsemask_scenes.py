"""SparseMask's derived network on procedural scenes, on a CPU: a backbone of a quarter of the channels, from scratch.

    python tools/train.py configs/scenes/sparsemask_scenes.py

The architecture is the authors' for PASCAL VOC; that of sparsemask_search_scenes.py is written with this as its base.
"""

_base_ = [
    "../_base_/models/sparsemask.py",
    "../_base_/datasets/scenes_landcover.py",
    "../_base_/schedules/cpu_150.py",
    "../_base_/default_runtime.py",
]

_norm = dict(type="BN", momentum=0.05, requires_grad=True)
_channels = [8, 8, 8, 8, 16, 24, 40, 80, 1280]
model = dict(
    backbone=dict(width=0.25, norm_cfg=_norm, init_cfg=[dict(type="Kaiming", layer="Conv2d")]),
    decode_head=dict(num_classes=8, in_channels=_channels, channels=32, norm_cfg=_norm),
)
train_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
default_hooks = dict(checkpoint=dict(interval=150), logger=dict(interval=20))
