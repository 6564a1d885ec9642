"""Inception-v2 of ImageNet, frozen, with two new layers on BigEarthNet v1.0 (BigEarthNet paper, table 4).

    python tools/convert_weights.py bn_inception-52deb4733.pth data/weights/inception_v2.pth
    python tools/train.py configs/bigearthnet/inception_v2_rgb.py
    python tools/test.py configs/bigearthnet/inception_v2_rgb.py work_dirs/bigearthnet/inception_v2_rgb/epoch_100.pth

The file is that of pretrained-models (bninception).  For TF-slim's, see configs/_base_/models/inception_v2.py.
Expected (paper): P 48.23, R 56.79, F1 49.88, F2 53.01, averaged over images.  Not run by us on the archive.

Deviations: those of scnn_all.py.  The paper does not say how patches become what the network was trained on: here each
band gets mean and deviation of ImageNet's channel, and the patch keeps its 120 x 120 pixels, with which pretrained-
models' own code cannot join the maps of 15 x 15: poolings there get a row more (rsseg/models/inception_v2.py).
"""

_base_ = [
    "../_base_/models/inception_v2.py",
    "../_base_/datasets/bigearthnet_rgb.py",
    "../_base_/schedules/bigearthnet_100.py",
    "../_base_/default_runtime_cls.py",
]

model = dict(head=dict(num_classes=43))
