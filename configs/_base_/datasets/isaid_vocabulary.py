"""iSAID's validation tiles cut by tools/prepare_data.py; only for tests."""

_base_ = ["./_segmentation.py"]

train_dataloader = None
val_dataloader = None
test_dataloader = dict(
    dataset=dict(
        type="PairsDataset",
        table="isaid",
        data_root="data/isaid/tiles",
        layouts=[dict(images="img_dir/val/*.png", labels="ann_dir/val/*_instance_color_RGB.png")],
        pipeline={{_base_.vocabulary_pipeline}},
    ),
)
