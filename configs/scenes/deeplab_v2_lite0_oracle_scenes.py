"""Oracle, trained on the target's labels: three regions of procedural scenes to three others, on a CPU.

    python tools/train.py configs/scenes/deeplab_v2_lite0_oracle_scenes.py

Data: rsseg scenes domains (data/README.md); weights: make demo.  Results: docs/results.md.
"""

_base_ = ["./deeplab_v2_lite0_source_only_scenes.py"]

train_dataloader = dict(dataset=dict(source=dict(ann_file="target_train.txt")))
