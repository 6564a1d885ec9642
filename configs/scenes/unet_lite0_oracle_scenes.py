"""Oracle, U-Net trained on the labels of the target: three regions of procedural scenes to three others, on a CPU.

    python tools/train.py configs/scenes/unet_lite0_oracle_scenes.py

Data: rsseg scenes domains (data/README.md); weights: make demo.  Results: docs/results.md.
"""

_base_ = ["./unet_lite0_source_only_scenes.py"]

train_dataloader = dict(dataset=dict(source=dict(ann_file="target_train.txt")))
