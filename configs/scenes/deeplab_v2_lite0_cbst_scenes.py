"""CBST: three regions of procedural scenes to three others, on a CPU.

    python tools/train.py configs/scenes/deeplab_v2_lite0_cbst_scenes.py

The first half of the run learns from the source alone.
Data: rsseg scenes domains (data/README.md); weights: make demo.  Results: docs/results.md.
"""

_base_ = [
    "../_base_/models/deeplab_v2_lite0.py",
    "../_base_/datasets/scenes_domains.py",
    "../_base_/schedules/cpu_adapt_100.py",
    "../_base_/default_runtime.py",
]

model = dict(
    decode_head=dict(num_classes=8, form="ppm"),
    adaptation=dict(type="CBST", portion=0.3, start=50, interval=25),
)
train_dataloader = dict(dataset=dict(target=dict(pipeline={{_base_.placed_pipeline_128}})))
