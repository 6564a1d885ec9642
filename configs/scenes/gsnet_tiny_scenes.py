"""Open-vocabulary segmentation of procedural scenes: GSNet with small towers from scratch, on a CPU.

    python tools/train.py configs/scenes/gsnet_tiny_scenes.py

Needs data/scenes/landcover, which `make demo` writes; or `python tools/make_scenes.py landcover data/scenes/landcover
--count 60 --size 256 --val 8 --test 8 --seed 3`.  Expected with the latter: 3 minutes on one core; on val.txt OA 66 and
mIoU 18 (water 76, developed space 51, all others 0).  It shows that all runs, not what the method can do.
"""

_base_ = [
    "../_base_/models/gsnet.py",
    "../_base_/datasets/scenes_landcover.py",
    "../_base_/schedules/cpu_300.py",
    "../_base_/default_runtime.py",
]

_tower = dict(width=64, layers=4, heads=4)
model = dict(
    clip=dict(weights=None, visual=dict(**_tower, grid=8), text=_tower, embed=64, resolution=128, taps=(0, 1)),
    dino=dict(weights=None, **_tower, grid=16, resolution=128, taps=(0, 1, 3), frozen=False),
    fusion=dict(channels=32, kernel=3),
    aggregator=dict(channels=32, window=4),
    decoder=dict(channels=32, widths=(32, 16), guidance_channels=(16, 8)),
    vocabulary="openearthmap",
    template="{}",  # texts of a tower from scratch hardly differ where most of their words are the same
    ignore_background_in_loss=True,
    test_cfg=dict(mode="slide", crop_size=(128, 128), stride=(96, 96), size=213),
)
# towers from scratch give classes that hardly differ: what sees the differences must grow first, and the head's offset
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={"fusion.conv": dict(lr_mult=300), "decoder.head": dict(lr_mult=10)})
)
train_dataloader = dict(batch_size=4, num_workers=1)
val_dataloader = dict(num_workers=1)
test_dataloader = dict(num_workers=1)
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=20))
