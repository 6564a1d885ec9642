"""SOTA, SIOR and FAST as tools/convert_labels.py writes them, with a class for the pixels that it leaves unlabelled."""

_base_ = ["./_segmentation.py"]


def _sets(split, pipeline):
    """The three sets, each with its own classes and background, the last."""
    return [
        dict(type=f"{name}Dataset", table=f"{name.lower()}+background", data_root=f"data/samrs/{name.lower()}",
             split=split, pipeline=pipeline)
        for name in ("SOTA", "SIOR", "FAST")
    ]  # fmt: skip


train_dataloader = dict(dataset=dict(type="MultiDataset", datasets=_sets("train", {{_base_.sep_pipeline_224}})))
val_dataloader = dict(dataset=dict(type="MultiDataset", datasets=_sets("val", {{_base_.sep_test_pipeline}})))
test_dataloader = val_dataloader
