"""Source only: DeepLabV2 on EfficientNet-Lite0, trained in three regions of procedural scenes, tested in three others.

python tools/train.py configs/scenes/deeplab_v2_lite0_source_only_scenes.py
"""

_base_ = [
    "../_base_/models/deeplab_v2_lite0.py",
    "../_base_/datasets/scenes_domains.py",
    "../_base_/schedules/cpu_adapt_100.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=8, form="single"), adaptation=dict(type="SourceOnly"))
