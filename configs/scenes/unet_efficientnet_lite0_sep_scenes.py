"""SEP of a U-Net with EfficientNet-Lite0 on three converted sets of procedural scenes, on a CPU.

    python tools/train.py configs/scenes/unet_efficientnet_lite0_sep_scenes.py

It begins with ImageNet weights; what the conversion leaves unlabelled does not count, as in the SAMRS paper.  (As a
class of its own it is 93 % of the pixels, and after so few iterations the model predicts nothing else.)  Needs
data/scenes/{sota,sior,fast} and data/weights/efficientnet_lite0.pth, which `make demo` writes.
"""

_base_ = [
    "../_base_/models/unet_efficientnet_lite0.py",
    "../_base_/datasets/scenes_sep.py",
    "../_base_/schedules/cpu_100.py",
    "../_base_/default_runtime.py",
]

model = dict(type="MultiHeadSegmentor", heads=dict(sota=18, sior=20, fast=37))
_turns = dict(pipeline={{_base_.turns_pipeline_128}})
train_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False, dataset=_turns)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
default_hooks = dict(
    checkpoint=dict(interval=100), logger=dict(interval=10), channels_last=dict(type="mmseg.ChannelsLast")
)
