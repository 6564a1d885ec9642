"""Land cover of procedural scenes, in OpenEarthMap's layout; few.txt lists the few labelled training images."""

_base_ = ["./_segmentation.py"]

common = dict(type="OpenEarthMapDataset", table="openearthmap", data_root="data/scenes/landcover")
train_dataloader = dict(dataset=dict(**common, ann_file="train.txt", pipeline={{_base_.train_pipeline_128}}))
val_dataloader = dict(dataset=dict(**common, ann_file="val.txt", pipeline={{_base_.test_pipeline}}))
test_dataloader = dict(dataset=dict(**common, ann_file="test.txt", pipeline={{_base_.test_pipeline}}))
