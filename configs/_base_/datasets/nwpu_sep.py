"""NWPU VHR-10 and the DOTA and iSAID samples, converted from boxes; only NWPU is large enough for validation."""

_base_ = ["./_segmentation.py"]

nwpu = dict(type="ConvertedDataset", table="nwpu_vhr10", data_root="data/nwpu_vhr10/converted")
sota = dict(type="ConvertedDataset", table="sota", split=None)
sets = [
    dict(**nwpu, split="train"),
    dict(**sota, name="dota", data_root="data/dota/converted"),
    dict(**sota, name="isaid", data_root="data/isaid/converted"),
]
val = dict(type="MultiDataset", datasets=[dict(**nwpu, split="val")], pipeline={{_base_.test_pipeline}})
train_dataloader = dict(dataset=dict(type="MultiDataset", datasets=sets, pipeline={{_base_.train_pipeline_224}}))
val_dataloader = dict(dataset=val)
test_dataloader = val_dataloader
