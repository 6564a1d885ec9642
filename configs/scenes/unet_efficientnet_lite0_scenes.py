"""Land cover of procedural scenes from 12 labelled images, fine-tuned from ImageNet weights on a CPU.

    python tools/train.py configs/scenes/unet_efficientnet_lite0_scenes.py

Needs data/scenes/landcover and data/weights/efficientnet_lite0.pth, which `make demo` writes.  From random weights:
--cfg-options model.backbone.init_cfg=None
"""

_base_ = [
    "../_base_/models/unet_efficientnet_lite0.py",
    "../_base_/datasets/scenes_landcover.py",
    "../_base_/schedules/cpu_100.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=8))
_images = dict(indices=12, pipeline={{_base_.turns_pipeline_128}})
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False, dataset=_images)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
default_hooks = dict(
    checkpoint=dict(interval=100), logger=dict(interval=10), channels_last=dict(type="mmseg.ChannelsLast")
)
