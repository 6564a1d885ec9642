"""Tiles of your own, of any bands and number type: pairs of the same name in img_dir and ann_dir, train and val.

``bands`` and ``value_range`` are said once, here or in a leaf, for training, tests and maps (see LoadImage).
"""

_base_ = ["./_segmentation.py"]

bands, value_range = (1, 2, 3, 4), (0, 10000)
train = dict(img_path="img_dir/train", seg_map_path="ann_dir/train")
val = dict(img_path="img_dir/val", seg_map_path="ann_dir/val")
common = dict(type="TableDataset", table="landcover6", data_root="data/own", img_suffix=".tif", seg_map_suffix=".png")
train_dataloader = dict(dataset=dict(**common, data_prefix=train, pipeline={{_base_.train_pipeline_512}}))
val_dataloader = dict(dataset=dict(**common, data_prefix=val, pipeline={{_base_.test_pipeline}}))
test_dataloader = val_dataloader
