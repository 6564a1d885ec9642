"""OpenEarthMap across regions: 73 train, 24 others test (paper, table 6); lists by tools/split_openearthmap.py."""

_base_ = ["./openearthmap.py"]

lists = "data/splits/openearthmap/regional"
train_dataloader = dict(dataset=dict(ann_file="", subset=f"{lists}/source_train.txt"))
val_dataloader = dict(dataset=dict(ann_file="", subset=f"{lists}/target_val.txt"))
test_dataloader = val_dataloader
