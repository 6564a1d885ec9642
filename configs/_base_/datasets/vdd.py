"""VDD's test part as published; only to be tested on."""

_base_ = ["./_segmentation.py"]

train_dataloader = None
val_dataloader = None
test_dataloader = dict(
    dataset=dict(
        type="PairsDataset",
        table="vdd",
        data_root="data/vdd",
        layouts=[dict(images="**/test/src/*.JPG", labels="**/test/gt/*.png")],
        pipeline={{_base_.vocabulary_pipeline}},
    ),
)
