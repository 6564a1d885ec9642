"""DeepGlobe land cover, cut by tools/prepare_data.py (1224 x 1224, four tiles an image); a fifth of it validates."""

_base_ = ["./_segmentation.py"]

train = dict(img_path="img_dir/train", seg_map_path="ann_dir/train")
val = dict(img_path="img_dir/val", seg_map_path="ann_dir/val")
common = dict(type="DeepGlobeDataset", data_root="data/deepglobe")
train_dataloader = dict(dataset=dict(**common, data_prefix=train, pipeline={{_base_.train_pipeline_512}}))
val_dataloader = dict(dataset=dict(**common, data_prefix=val, pipeline={{_base_.test_pipeline}}))
test_dataloader = val_dataloader
