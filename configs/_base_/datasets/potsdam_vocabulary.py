"""Potsdam's validation tiles, as GSNet's release prepares them or cut by tools/prepare_data.py; only for tests."""

_base_ = ["./_segmentation.py"]

train_dataloader = None
val_dataloader = None
test_dataloader = {{_base_.potsdam_test}}
