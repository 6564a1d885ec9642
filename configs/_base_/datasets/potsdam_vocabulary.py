"""Potsdam's validation tiles, as GSNet's release prepares them or cut by tools/prepare_data.py; only for tests."""

_base_ = ["./_segmentation.py"]

_split, train_dataloader, val_dataloader = "PotsdamSplit", None, None
test_dataloader = dict(
    dataset=dict(
        type="PairsDataset",
        table="potsdam",
        data_root="data/potsdam",
        layouts=[
            dict(images=f"{_split}/img_dir/val/*.png", labels=f"{_split}/ann_dir/val/*.png", table="potsdam_prepared"),
            dict(images="img_dir/val/*.png", labels="ann_dir/val/*.png"),
        ],
        pipeline={{_base_.vocabulary_pipeline}},
    ),
)
