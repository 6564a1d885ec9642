"""SOTA, SIOR and FAST as released; train.txt and valid.txt of each are yours (data/README.md)."""

_base_ = ["./_segmentation.py"]


def _sets(split):
    """The three sets, each with its own classes."""
    root, same = "data/samrs/released", dict(type="ReleasedDataset", split=split)
    return [
        dict(table="sota", data_root=f"{root}/dotav2_1024/trainval", **same),
        dict(table="sior", data_root=f"{root}/dior", **same),
        dict(table="fast", data_root=f"{root}/fair1m_1024/trainval", **same),
    ]


train = dict(type="MultiDataset", datasets=_sets("train"), pipeline={{_base_.sep_pipeline_224}})
val = dict(type="MultiDataset", datasets=_sets("val"), pipeline={{_base_.sep_test_pipeline}})
train_dataloader = dict(dataset=train)
val_dataloader = dict(dataset=val)
test_dataloader = val_dataloader
