"""FloodNet's validation and test parts, as GSNet's release prepares them or as published; only to be tested on."""

_base_ = ["./_segmentation.py"]

_published = [[f"**/{part}-{kind}" for part in ("val", "test")] for kind in ("org-img/*.jpg", "label-img/*_lab.png")]
train_dataloader = None
val_dataloader = None
test_dataloader = dict(
    dataset=dict(
        type="FloodNetDataset",
        data_root="data/floodnet",
        layouts=[
            dict(images="val+test/img/*.jpg", labels="val+test/lbl/*.png"),
            dict(images=_published[0], labels=_published[1]),
        ],
        pipeline={{_base_.vocabulary_pipeline}},
    ),
)
