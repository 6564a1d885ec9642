"""LandDiscover50K as OV-Seg's release reads its images: crops of 512, the shorter side
800 in training and 512 in tests."""

_base_ = ["./landdiscover.py"]

train_dataloader = dict(batch_size=8, dataset=dict(pipeline={{_base_.large_pipeline_512}}))
test_dataloader = dict(dataset=dict(pipeline={{_base_.vocabulary_pipeline_512}}))
test_pipeline = {{_base_.vocabulary_pipeline_512}}
tta_pipeline = {{_base_.tta_vocabulary_512}}
