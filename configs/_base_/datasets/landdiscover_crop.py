"""LandDiscover50K with a random scale and real crops; the release squashes every image to 384 x 384."""

_base_ = ["./landdiscover.py"]

train_dataloader = dict(dataset=dict(pipeline={{_base_.jitter_pipeline_384}}))
