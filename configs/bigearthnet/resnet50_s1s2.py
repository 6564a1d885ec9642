"""ResNet-50 on BigEarthNet v2.0: Sentinel-2 and Sentinel-1, 14 bands, 19 classes, the split of its metadata.

    python tools/train.py configs/bigearthnet/resnet50_s1s2.py
    python tools/test.py configs/bigearthnet/resnet50_s1s2.py work_dirs/bigearthnet/resnet50_s1s2/epoch_100.pth

From scratch; to start from ImageNet see resnet50_all.py, with --set in_channels=14.  Not run by us on the archive.
Expected: reBEN's paper (arXiv 2407.03653) reports this model with other settings of training.
"""

_base_ = [
    "../_base_/models/labels_r50.py",
    "../_base_/datasets/bigearthnet_v2.py",
    "../_base_/schedules/bigearthnet_100.py",
    "../_base_/default_runtime_cls.py",
]

model = dict(backbone=dict(in_channels=14), head=dict(num_classes=19))
