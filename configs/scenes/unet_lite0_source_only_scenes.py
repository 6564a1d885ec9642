"""Source only, U-Net: three regions of procedural scenes to three others, on a CPU.

    python tools/train.py configs/scenes/unet_lite0_source_only_scenes.py

Data: rsseg scenes domains (data/README.md); weights: make demo.  Results: docs/results.md.
"""

_base_ = [
    "../_base_/models/unet_efficientnet_lite0.py",
    "../_base_/datasets/scenes_domains.py",
    "../_base_/schedules/cpu_100.py",
    "../_base_/default_runtime.py",
]

model = dict(type="AdaptationSegmentor", decode_head=dict(num_classes=8), adaptation=dict(type="SourceOnly"))
optim_wrapper = dict(constructor="AdaptationOptimizers")
train_dataloader = dict(sampler=dict(counts=[4, 0]))
default_hooks = dict(
    checkpoint=dict(interval=100), logger=dict(interval=10), channels_last=dict(type="mmseg.ChannelsLast")
)
