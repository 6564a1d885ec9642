"""U-Net with a ResNet-18 of a quarter of the channels on procedural scenes, on a CPU, from scratch.

    python tools/train.py configs/scenes/unet_small_scenes.py

Beside searched networks.  Needs data/scenes/landcover, see sparsemask_search_scenes.py.  Scores: docs/results.md.
"""

_base_ = [
    "../_base_/models/unet_r34.py",
    "../_base_/datasets/scenes_landcover.py",
    "../_base_/schedules/cpu_150.py",
    "../_base_/default_runtime_mmpretrain.py",
]

model = dict(
    backbone=dict(depth=18, stem_channels=16, base_channels=16, init_cfg=None),
    decode_head=dict(in_channels=[16, 16, 32, 64, 128], decoder_channels=(64, 32, 16, 16, 8), num_classes=8),
)
train_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
default_hooks = dict(checkpoint=dict(interval=150), logger=dict(interval=20))
