"""iSAID, cut by tools/prepare_data.py (896 x 896, stride 512); background is class 0, trained but not scored."""

_base_ = ["./_segmentation.py"]

files = dict(img_suffix=".png", seg_map_suffix="_instance_color_RGB.png", data_root="data/isaid/tiles")
train = dict(img_path="img_dir/train", seg_map_path="ann_dir/train")
val = dict(img_path="img_dir/val", seg_map_path="ann_dir/val")
common = dict(type="TableDataset", table="isaid", **files)
train_dataloader = dict(dataset=dict(**common, data_prefix=train, pipeline={{_base_.train_pipeline_896}}))
val_dataloader = dict(dataset=dict(**common, data_prefix=val, pipeline={{_base_.test_pipeline}}))
test_dataloader = val_dataloader
tta_pipeline = {{_base_.tta_horizontal}}
