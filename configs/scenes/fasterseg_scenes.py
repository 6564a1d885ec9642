"""FasterSeg's derived network on procedural scenes, on a CPU, from scratch: a third of the channels.

    python tools/train.py configs/scenes/fasterseg_scenes.py

The architecture is the authors' for Cityscapes; that of fasterseg_search_scenes.py is written with this as its base.
"""

_base_ = [
    "../_base_/models/fasterseg.py",
    "../_base_/datasets/scenes_landcover.py",
    "../_base_/schedules/cpu_150.py",
    "../_base_/default_runtime.py",
]

model = dict(architecture=dict(base=6), decode_head=dict(num_classes=8))
train_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
default_hooks = dict(checkpoint=dict(interval=150), logger=dict(interval=20))
