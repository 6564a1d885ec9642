r"""Inception-v2 of ImageNet, frozen, on the 5 classes of CLC's level 1.

    python tools/train.py configs/bigearthnet/inception_v2_rgb_level1.py
    python tools/test.py configs/bigearthnet/inception_v2_rgb_level1.py \
        work_dirs/bigearthnet/inception_v2_rgb_level1/epoch_100.pth

Expected (paper, section 4): the order of the three models is that of table 4; no scores are printed.  Not run by us.
Weights and deviations are those of inception_v2_rgb.py.
"""

_base_ = ["./inception_v2_rgb.py"]

labels = "level1"
model = dict(head=dict(num_classes=5))
train_dataloader = dict(dataset=dict(labels=labels))
val_dataloader = dict(dataset=dict(labels=labels))
test_dataloader = dict(dataset=dict(labels=labels))
