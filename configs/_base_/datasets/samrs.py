"""SOTA, SIOR and FAST as tools/convert_labels.py writes them; splits by source image."""

_base_ = ["./_segmentation.py"]


def _sets(split, pipeline):
    """The three sets, each with its own classes."""
    return [
        dict(type="ConvertedDataset", table=name, data_root=f"data/samrs/{name}", split=split, pipeline=pipeline)
        for name in ("sota", "sior", "fast")
    ]


train_dataloader = dict(dataset=dict(type="MultiDataset", datasets=_sets("train", {{_base_.sep_pipeline_224}})))
val_dataloader = dict(dataset=dict(type="MultiDataset", datasets=_sets("val", {{_base_.sep_test_pipeline}})))
test_dataloader = val_dataloader
