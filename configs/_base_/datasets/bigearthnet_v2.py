"""BigEarthNet v2.0 (reBEN): Sentinel-2 and Sentinel-1, the 19 classes, the geographical split of its metadata."""

_base_ = ["./bigearthnet.py"]

bands = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12", "VV", "VH")
data_preprocessor = dict(bands=bands, version="v2")
common = dict(data_root="data/bigearthnet_v2", version="v2", bands=bands, labels="nineteen")
train_dataloader = dict(dataset=common)
val_dataloader = dict(dataset=common)
test_dataloader = dict(dataset=common)
