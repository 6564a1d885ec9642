"""UAVid's test part as SegEarth-OV's release cuts it, cars in one class; only to be tested on."""

_base_ = ["./_segmentation.py"]

train_dataloader = None
val_dataloader = None
test_dataloader = dict(
    dataset=dict(
        type="PairsDataset",
        table="uavid",
        data_root="data/uavid",
        layouts=[dict(images="img_dir/test/*.png", labels="ann_dir/test/*.png")],
        pipeline={{_base_.vocabulary_pipeline}},
    ),
)
