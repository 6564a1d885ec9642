"""OpenEarthMap: regions of GeoTIFFs and three lists; labels of the test list are not public."""

_base_ = ["./_segmentation.py"]

common = dict(type="OpenEarthMapDataset", table="openearthmap", data_root="data/openearthmap")
train_dataloader = dict(dataset=dict(**common, ann_file="train.txt", pipeline={{_base_.train_pipeline_512}}))
val_dataloader = dict(dataset=dict(**common, ann_file="val.txt", pipeline={{_base_.test_pipeline}}))
test_dataloader = val_dataloader
