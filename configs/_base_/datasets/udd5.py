"""UDD5's validation part as published; only to be tested on."""

_base_ = ["./_segmentation.py"]

train_dataloader = None
val_dataloader = None
test_dataloader = dict(
    dataset=dict(
        type="PairsDataset",
        table="udd5",
        data_root="data/udd5",
        layouts=[dict(images="**/val/src/*.JPG", labels="**/val/gt/*.png")],
        pipeline={{_base_.vocabulary_pipeline}},
    ),
)
