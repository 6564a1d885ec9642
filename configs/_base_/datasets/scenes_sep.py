"""Three converted sets of procedural scenes in the layouts of DOTA, DIOR and FAIR1M."""

_base_ = ["./_segmentation.py"]


def _sets(split):
    """The three sets, each with its own classes."""
    return [
        dict(type="ConvertedDataset", table=name, data_root=f"data/scenes/{name}", split=split)
        for name in ("sota", "sior", "fast")
    ]


train = dict(type="MultiDataset", datasets=_sets("train"), pipeline={{_base_.train_pipeline_128}})
val = dict(type="MultiDataset", datasets=_sets("val"), pipeline={{_base_.test_pipeline}})
train_dataloader = dict(dataset=train)
val_dataloader = dict(dataset=val)
test_dataloader = val_dataloader
