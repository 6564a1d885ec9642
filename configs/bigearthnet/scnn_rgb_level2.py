"""S-CNN-RGB on the 15 classes of CLC's level 2.

    python tools/train.py configs/bigearthnet/scnn_rgb_level2.py
    python tools/test.py configs/bigearthnet/scnn_rgb_level2.py work_dirs/bigearthnet/scnn_rgb_level2/epoch_100.pth

Expected (paper, section 4): the order of the three models is that of table 4; no scores are printed.  Not run by us.
"""

_base_ = ["./scnn_rgb.py"]

labels = "level2"
model = dict(head=dict(num_classes=15))
train_dataloader = dict(dataset=dict(labels=labels))
val_dataloader = dict(dataset=dict(labels=labels))
test_dataloader = dict(dataset=dict(labels=labels))
