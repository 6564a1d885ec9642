"""SOTA, SIOR and FAST as tools/convert_labels.py writes them; splits by source image."""

_base_ = ["./_segmentation.py"]


def _sets(split):
    """The three sets, each with its own classes."""
    return [
        dict(type="ConvertedDataset", table=name, data_root=f"data/samrs/{name}", split=split)
        for name in ("sota", "sior", "fast")
    ]


train = dict(type="MultiDataset", datasets=_sets("train"), pipeline={{_base_.sep_pipeline_224}})
val = dict(type="MultiDataset", datasets=_sets("val"), pipeline={{_base_.sep_test_pipeline}})
train_dataloader = dict(dataset=train)
val_dataloader = dict(dataset=val)
test_dataloader = val_dataloader
