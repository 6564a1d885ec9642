"""ISPRS Potsdam to Vaihingen, both cut by tools/prepare_data.py; both sets have the same classes."""

_base_ = ["./_segmentation.py"]

train = dict(img_path="img_dir/train", seg_map_path="ann_dir/train")
val = dict(img_path="img_dir/val", seg_map_path="ann_dir/val")
common = dict(type="TableDataset", table="potsdam", img_suffix=".png")
turns = dict(**common, data_prefix=train, pipeline={{_base_.one_turn_pipeline_512}})
train_dataloader = dict(
    batch_size=16,
    sampler=dict(counts=[8, 8]),
    dataset=dict(
        type="AdaptationDataset",
        source=dict(**turns, data_root="data/potsdam"),
        target=dict(**turns, data_root="data/vaihingen"),
    ),
)
test = dict(**common, data_root="data/vaihingen", data_prefix=val, pipeline={{_base_.test_pipeline}})
val_dataloader = test_dataloader = dict(dataset=test)
