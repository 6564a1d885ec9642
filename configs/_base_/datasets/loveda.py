"""LoveDA in the layout of mmseg's converter, labels as released (0 no data, 1..7); the test labels are not public."""

_base_ = ["./_segmentation.py"]

train = dict(img_path="img_dir/train", seg_map_path="ann_dir/train")
val = dict(img_path="img_dir/val", seg_map_path="ann_dir/val")
common = dict(type="TableDataset", table="loveda", data_root="data/loveda", img_suffix=".png")
train_dataloader = dict(dataset=dict(**common, data_prefix=train, pipeline={{_base_.train_pipeline_512}}))
val_dataloader = dict(dataset=dict(**common, data_prefix=val, pipeline={{_base_.test_pipeline}}))
test_dataloader = val_dataloader
