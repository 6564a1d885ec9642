"""Oracle: as deeplab_v2_lite0_source_only_scenes.py, but trained on the labelled training images of the target.

python tools/train.py configs/scenes/deeplab_v2_lite0_oracle_scenes.py
"""

_base_ = ["./deeplab_v2_lite0_source_only_scenes.py"]

train_dataloader = dict(dataset=dict(source=dict(ann_file="target_train.txt")))
