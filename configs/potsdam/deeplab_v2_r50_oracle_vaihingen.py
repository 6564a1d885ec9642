"""Oracle, DeepLabV2 trained on the target's labels: ISPRS Potsdam to Vaihingen.

    python tools/train.py configs/potsdam/deeplab_v2_r50_oracle_vaihingen.py

Not run by us. As deeplab_v2_r50_source_only_vaihingen.py, with the target's training images and their labels as
source.
"""

_base_ = ["./deeplab_v2_r50_source_only_vaihingen.py"]

train_dataloader = dict(dataset=dict(source=dict(data_root="data/vaihingen")))
