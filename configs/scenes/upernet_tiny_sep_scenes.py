"""SEP of a tiny UPerNet on three converted sets of procedural scenes: the demo's pre-training, on a CPU.

    python tools/train.py configs/scenes/upernet_tiny_sep_scenes.py

Needs data/scenes/{sota,sior,fast}, which `make demo` writes (tools/make_scenes.py, then tools/convert_labels.py).
"""

_base_ = [
    "../_base_/models/upernet_tiny.py",
    "../_base_/datasets/scenes_sep.py",
    "../_base_/schedules/cpu_300.py",
    "../_base_/default_runtime.py",
]

model = dict(type="MultiHeadSegmentor", heads=dict(sota=18, sior=20, fast=37))
train_dataloader = dict(batch_size=8, num_workers=1)
val_dataloader = dict(num_workers=1)
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=20))
