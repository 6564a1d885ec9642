"""S-CNN on BigEarthNet's reference maps, from S-CNN-All trained on labels of patches: the first convolution is kept.

    python tools/train.py configs/bigearthnet/scnn_all.py
    python tools/train.py configs/bigearthnet/fcn_scnn_maps_from_labels.py

Expected: no published figure.  Not run by us on the archive.  Every weight is accounted for: the three convolutions
are loaded, the layers that score labels are not used, the decoder starts afresh.
"""

_base_ = ["./fcn_scnn_maps.py"]

checkpoint = "work_dirs/bigearthnet/scnn_all/epoch_100.pth"
default_hooks = dict(start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head"], unused=["head"]))
