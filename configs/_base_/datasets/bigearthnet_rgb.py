"""BigEarthNet v1.0 with red, green and blue alone."""

_base_ = ["./bigearthnet.py"]

bands = ("B04", "B03", "B02")
data_preprocessor = dict(bands=bands)
train_dataloader = dict(dataset=dict(bands=bands))
val_dataloader = dict(dataset=dict(bands=bands))
test_dataloader = dict(dataset=dict(bands=bands))
