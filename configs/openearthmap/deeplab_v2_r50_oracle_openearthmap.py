"""Oracle, DeepLabV2 trained on the target's labels: OpenEarthMap, 73 regions to 24 others (paper, table 6).

    python tools/train.py configs/openearthmap/deeplab_v2_r50_oracle_openearthmap.py

Expected (paper, on target_test.txt, whose labels are not public): mIoU 54.65.  Not run by us. As
deeplab_v2_r50_source_only_openearthmap.py, with the target's training images and their labels as source.
"""

_base_ = ["./deeplab_v2_r50_source_only_openearthmap.py"]

target = "data/splits/openearthmap/regional/target_train.txt"
train_dataloader = dict(dataset=dict(source=dict(subset=target)))
