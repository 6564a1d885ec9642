"""LandDiscover50K, built by tools/build_landdiscover.py or as published; all of it trains, Potsdam and others test."""

_base_ = ["./_segmentation.py"]

train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        type="LandDiscoverDataset",
        data_root="data/landdiscover",
        layouts=[dict(images="**/TR_Image/*", labels="**/GT_ID/*.png")],
        count=51846,
        hint="LD50KSplit.zip is one archive in parts: put it and .z01 to .z13 in one folder, 7z x LD50KSplit.zip",
        pipeline={{_base_.squash_pipeline_384}},
    ),
)
val_dataloader = None
test_dataloader = {{_base_.potsdam_test}}
test_pipeline = {{_base_.vocabulary_pipeline}}
tta_pipeline = {{_base_.tta_vocabulary}}
