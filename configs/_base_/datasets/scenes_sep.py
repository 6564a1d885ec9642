"""Three converted sets of procedural scenes in the layouts of DOTA, DIOR and FAIR1M."""

_base_ = ["./_segmentation.py"]


def _sets(split, pipeline):
    """The three sets, each with its own classes."""
    return [
        dict(type="ConvertedDataset", table=name, data_root=f"data/scenes/{name}", split=split, pipeline=pipeline)
        for name in ("sota", "sior", "fast")
    ]


train_dataloader = dict(dataset=dict(type="MultiDataset", datasets=_sets("train", {{_base_.train_pipeline_128}})))
val_dataloader = dict(dataset=dict(type="MultiDataset", datasets=_sets("val", {{_base_.test_pipeline}})))
test_dataloader = val_dataloader
