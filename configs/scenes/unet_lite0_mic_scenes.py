"""MIC on a U-Net: three regions of procedural scenes to three others, on a CPU.

    python tools/train.py configs/scenes/unet_lite0_mic_scenes.py

Data: rsseg scenes domains (data/README.md); weights: make demo.  Results: docs/results.md.
"""

_base_ = ["./unet_lite0_source_only_scenes.py"]

model = dict(adaptation=dict(type="MIC", block=32, momentum=0.95, threshold=0.8))
train_dataloader = dict(batch_size=8, sampler=dict(counts=[4, 4]))
