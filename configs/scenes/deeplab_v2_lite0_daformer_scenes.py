"""DAFormer: three regions of procedural scenes to three others, on a CPU.

    python tools/train.py configs/scenes/deeplab_v2_lite0_daformer_scenes.py

The teacher moves faster and the threshold is lower than DAFormer's, as the run is 400 times shorter.
Data: rsseg scenes domains (data/README.md); weights: make demo.  Results: docs/results.md.
"""

_base_ = [
    "../_base_/models/deeplab_v2_lite0.py",
    "../_base_/datasets/scenes_domains.py",
    "../_base_/schedules/cpu_adapt_100.py",
    "../_base_/default_runtime.py",
]

model = dict(
    decode_head=dict(num_classes=8, form="single"),
    adaptation=dict(type="DAFormer", momentum=0.95, threshold=0.8),
)
train_dataloader = dict(
    dataset=dict(
        rare_classes=dict(),
        source=dict(pipeline={{_base_.rare_pipeline_128}}),
        target=dict(pipeline={{_base_.any_pipeline_128}}),
    ),
)
