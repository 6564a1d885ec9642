"""SegFormer with half of MiT-B0's channels on procedural scenes, on a CPU, from scratch: beside searched networks.

    python tools/train.py configs/scenes/segformer_small_scenes.py

Needs data/scenes/landcover, see sparsemask_search_scenes.py.  Size and scores: docs/results.md.
"""

_base_ = [
    "../_base_/models/segformer_b5.py",
    "../_base_/datasets/scenes_landcover.py",
    "../_base_/schedules/cpu_150.py",
    "../_base_/default_runtime.py",
]

model = dict(
    backbone=dict(embed_dims=16, num_layers=[2, 2, 2, 2], init_cfg=None),
    decode_head=dict(in_channels=[16, 32, 80, 128], channels=128, num_classes=8),
)
train_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
default_hooks = dict(checkpoint=dict(interval=150), logger=dict(interval=20))
