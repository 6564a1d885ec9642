"""Land cover of procedural scenes from scratch with few labels: the demo's baseline, on a CPU.

    python tools/train.py configs/scenes/upernet_tiny_scenes.py

Needs data/scenes/landcover, which `make demo` writes (tools/make_scenes.py landcover).
"""

_base_ = [
    "../_base_/models/upernet_tiny.py",
    "../_base_/datasets/scenes_landcover.py",
    "../_base_/schedules/cpu_300.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=8))
train_dataloader = dict(batch_size=8, num_workers=1)
val_dataloader = dict(num_workers=1)
test_dataloader = dict(num_workers=1)
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=20))
