"""Adaptation across OpenEarthMap's regions (paper, table 6); lists by tools/split_openearthmap.py."""

_base_ = ["./_segmentation.py"]

lists = "data/splits/openearthmap/regional"
common = dict(type="OpenEarthMapDataset", data_root="data/openearthmap", pipeline={{_base_.one_turn_pipeline_512}})
test = dict(type="OpenEarthMapDataset", data_root="data/openearthmap", pipeline={{_base_.test_pipeline}})
train_dataloader = dict(
    batch_size=16,
    sampler=dict(counts=[8, 8]),
    dataset=dict(
        type="AdaptationDataset",
        source=dict(**common, subset=f"{lists}/source_train.txt"),
        target=dict(**common, subset=f"{lists}/target_train.txt"),
    ),
)
val_dataloader = dict(dataset=dict(**test, subset=f"{lists}/target_val.txt"))
test_dataloader = val_dataloader  # labels of target_test.txt are not public
