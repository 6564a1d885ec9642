"""SOTA, SIOR and FAST as tools/convert_labels.py writes them, with a class for the pixels that it leaves unlabelled."""

_base_ = ["./_segmentation.py"]


def _sets(split):
    """The three sets, each with its own classes and background, the last."""
    return [
        dict(type=f"{n}Dataset", table=f"{n.lower()}+background", data_root=f"data/samrs/{n.lower()}", split=split)
        for n in ("SOTA", "SIOR", "FAST")
    ]


train = dict(type="MultiDataset", datasets=_sets("train"), pipeline={{_base_.sep_pipeline_224}})
val = dict(type="MultiDataset", datasets=_sets("val"), pipeline={{_base_.sep_test_pipeline}})
train_dataloader = dict(dataset=train)
val_dataloader = dict(dataset=val)
test_dataloader = val_dataloader
