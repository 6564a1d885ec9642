"""TransNorm: three regions of procedural scenes to three others, on a CPU.

    python tools/train.py configs/scenes/deeplab_v2_lite0_transnorm_scenes.py

AdaptSegNet's losses; all batch normalisations of the encoder are replaced.
Data: rsseg scenes domains (data/README.md); weights: make demo.  Results: docs/results.md.
"""

_base_ = [
    "../_base_/models/deeplab_v2_lite0.py",
    "../_base_/datasets/scenes_domains.py",
    "../_base_/schedules/cpu_adapt_100_adversarial.py",
    "../_base_/default_runtime.py",
]

model = dict(
    decode_head=dict(num_classes=8, form="twin"),
    adaptation=dict(type="TransNormAdaptation", main=0.01, auxiliary=0.002, channels=16, replace=True),
)
