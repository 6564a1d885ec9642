"""S-CNN-RGB on BigEarthNet v1.0: red, green and blue, 43 classes (BigEarthNet paper, table 4).

    python tools/train.py configs/bigearthnet/scnn_rgb.py
    python tools/test.py configs/bigearthnet/scnn_rgb.py work_dirs/bigearthnet/scnn_rgb/epoch_100.pth

Expected (paper): P 65.06, R 75.57, F1 67.59, F2 71.39, averaged over images.  Not run by us on the archive.
Deviations and cost are those of scnn_all.py.
"""

_base_ = [
    "../_base_/models/scnn.py",
    "../_base_/datasets/bigearthnet_rgb.py",
    "../_base_/schedules/bigearthnet_100.py",
    "../_base_/default_runtime_cls.py",
]

model = dict(head=dict(num_classes=43))
