"""MIC on DAFormer: three regions of procedural scenes to three others, on a CPU.

    python tools/train.py configs/scenes/deeplab_v2_lite0_mic_scenes.py

Data: rsseg scenes domains (data/README.md); weights: make demo.  Results: docs/results.md.
"""

_base_ = ["./deeplab_v2_lite0_daformer_scenes.py"]

model = dict(adaptation=dict(type="MIC", block=32))
