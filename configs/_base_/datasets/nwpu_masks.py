"""NWPU VHR-10 with its hand-made masks as labels (tools/convert_labels.py --predictor truth), background a class."""

_base_ = ["./_segmentation.py"]

common = dict(type="ConvertedDataset", table="nwpu_vhr10_masks", data_root="data/nwpu_vhr10/masks")
train_dataloader = dict(dataset=dict(**common, split="train", pipeline={{_base_.train_pipeline_224}}))
val_dataloader = dict(dataset=dict(**common, split="val", pipeline={{_base_.test_pipeline}}))
test_dataloader = val_dataloader
