"""DLRSD as published, all of it; only to be tested on."""

_base_ = ["./_segmentation.py"]

train_dataloader = None
val_dataloader = None
test_dataloader = dict(
    dataset=dict(
        type="PairsDataset",
        table="dlrsd",
        data_root="data/dlrsd",
        layouts=[dict(images="**/Images/**/*.tif", labels="**/Labels/**/*.png")],
        pipeline={{_base_.vocabulary_pipeline}},
    ),
)
