"""Three converted sets of procedural scenes, with a class for the pixels that the conversion leaves unlabelled."""

_base_ = ["./_segmentation.py"]


def _sets(split):
    """The three sets, each with its own classes and background, the last."""
    return [
        dict(type="ConvertedDataset", table=f"{name}+background", data_root=f"data/scenes/{name}", split=split)
        for name in ("sota", "sior", "fast")
    ]


train = dict(type="MultiDataset", datasets=_sets("train"), pipeline={{_base_.turns_pipeline_128}})
val = dict(type="MultiDataset", datasets=_sets("val"), pipeline={{_base_.test_pipeline}})
train_dataloader = dict(dataset=train)
val_dataloader = dict(dataset=val)
test_dataloader = val_dataloader
