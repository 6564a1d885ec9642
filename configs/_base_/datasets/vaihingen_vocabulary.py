"""Vaihingen's validation tiles cut by tools/prepare_data.py, with Potsdam's classes; only for tests."""

_base_ = ["./_segmentation.py"]

train_dataloader = None
val_dataloader = None
test_dataloader = dict(
    dataset=dict(
        type="PairsDataset",
        table="potsdam",
        data_root="data/vaihingen",
        layouts=[dict(images="img_dir/val/*.png", labels="ann_dir/val/*.png")],
        pipeline={{_base_.vocabulary_pipeline}},
    ),
)
