"""S-CNN-All on BigEarthNet v1.0: all twelve bands of Sentinel-2, 43 classes (BigEarthNet paper, table 4).

    python tools/train.py configs/bigearthnet/scnn_all.py
    python tools/test.py configs/bigearthnet/scnn_all.py work_dirs/bigearthnet/scnn_all/epoch_100.pth

Expected (paper): P 69.93, R 77.10, F1 70.98, F2 73.84, averaged over images.  Not run by us on the archive.
Cost: 0.25 GMACs per patch; README.md beside this file says how fast patches are read.

Deviations: the paper's split is not published, ours is drawn at random (60/20/20) or read from lists; it gives neither
rate, momentum, batch nor augmentation; the width of the layer before the classes, 128, is that of the same authors'
K-Branch CNN, and so is the number of poolings.
"""

_base_ = [
    "../_base_/models/scnn.py",
    "../_base_/datasets/bigearthnet.py",
    "../_base_/schedules/bigearthnet_100.py",
    "../_base_/default_runtime_cls.py",
]

model = dict(backbone=dict(in_channels=12), head=dict(num_classes=43))
