"""iSAID, tiled by mmsegmentation's converter (896 x 896); background is class 0."""

_base_ = ["./_segmentation.py"]

common = dict(
    type="TableDataset",
    table="isaid",
    data_root="data/iSAID",
    img_suffix=".png",
    seg_map_suffix="_instance_color_RGB.png",
)
train_dataloader = dict(
    dataset=dict(
        **common,
        data_prefix=dict(img_path="img_dir/train", seg_map_path="ann_dir/train"),
        pipeline={{_base_.train_pipeline_896}},
    )
)
val_dataloader = dict(
    dataset=dict(
        **common,
        data_prefix=dict(img_path="img_dir/val", seg_map_path="ann_dir/val"),
        pipeline={{_base_.test_pipeline}},
    )
)
test_dataloader = val_dataloader
