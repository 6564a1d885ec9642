"""Source and target regions of procedural scenes, in OpenEarthMap's layout; rsseg scenes domains writes them."""

_base_ = ["./_segmentation.py"]

common = dict(type="OpenEarthMapDataset", table="openearthmap", data_root="data/scenes/domains")
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(counts=[2, 2]),
    dataset=dict(
        type="AdaptationDataset",
        source=dict(**common, ann_file="source_train.txt", pipeline={{_base_.one_turn_pipeline_128}}),
        target=dict(**common, ann_file="target_train.txt", pipeline={{_base_.one_turn_pipeline_128}}),
    ),
)
quick = dict(num_workers=0, persistent_workers=False)
val_dataloader = dict(**quick, dataset=dict(**common, ann_file="target_val.txt", pipeline={{_base_.test_pipeline}}))
test_dataloader = dict(**quick, dataset=dict(**common, ann_file="target_test.txt", pipeline={{_base_.test_pipeline}}))
