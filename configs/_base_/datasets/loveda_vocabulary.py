"""LoveDA's validation part as published; only for tests."""

_base_ = ["./_segmentation.py"]

train_dataloader = None
val_dataloader = None
test_dataloader = dict(
    dataset=dict(
        type="PairsDataset",
        table="loveda",
        data_root="data/loveda",
        layouts=[
            dict(images="img_dir/val/*.png", labels="ann_dir/val/*.png"),
            dict(images="Val/**/images_png/*.png", labels="Val/**/masks_png/*.png"),
        ],
        pipeline={{_base_.vocabulary_pipeline}},
    ),
)
