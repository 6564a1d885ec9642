"""LandDiscover50K as SED's release reads its images: the shorter side is brought to 768 pixels."""

_base_ = ["./landdiscover.py"]

train_dataloader = dict(batch_size=4, dataset=dict(pipeline={{_base_.squash_pipeline_768}}))
