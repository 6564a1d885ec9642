"""S-CNN-RGB on the 5 classes of CLC's level 1.

    python tools/train.py configs/bigearthnet/scnn_rgb_level1.py
    python tools/test.py configs/bigearthnet/scnn_rgb_level1.py work_dirs/bigearthnet/scnn_rgb_level1/epoch_100.pth

Expected (paper, section 4): the order of the three models is that of table 4; no scores are printed.  Not run by us.
"""

_base_ = ["./scnn_rgb.py"]

labels = "level1"
model = dict(head=dict(num_classes=5))
train_dataloader = dict(dataset=dict(labels=labels))
val_dataloader = dict(dataset=dict(labels=labels))
test_dataloader = dict(dataset=dict(labels=labels))
