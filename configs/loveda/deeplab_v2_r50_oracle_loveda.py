"""Oracle, DeepLabV2 trained on the target's labels: LoveDA, urban to rural.

    python tools/train.py configs/loveda/deeplab_v2_r50_oracle_loveda.py

Not run by us. As deeplab_v2_r50_source_only_loveda.py, with the target's training images and their labels as source.
"""

_base_ = ["./deeplab_v2_r50_source_only_loveda.py"]

train_dataloader = dict(dataset=dict(source=dict(data_root="data/loveda/Train/{{$TARGET:Rural}}")))
