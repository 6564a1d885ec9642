"""LandDiscover50K with crops of 640 x 640 at SCAN's scales."""

_base_ = ["./landdiscover.py"]

train_dataloader = dict(batch_size=8, dataset=dict(pipeline={{_base_.wide_pipeline_640}}))
