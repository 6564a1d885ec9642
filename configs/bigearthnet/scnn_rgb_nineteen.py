"""S-CNN-RGB on the 19 classes that BigEarthNet's authors made later of the 43.

    python tools/train.py configs/bigearthnet/scnn_rgb_nineteen.py
    python tools/test.py configs/bigearthnet/scnn_rgb_nineteen.py work_dirs/bigearthnet/scnn_rgb_nineteen/epoch_100.pth

Expected: not in the paper, whose classes are the 43.  Patches that keep no label are left out.  Not run by us.
"""

_base_ = ["./scnn_rgb.py"]

labels = "nineteen"
model = dict(head=dict(num_classes=19))
train_dataloader = dict(dataset=dict(labels=labels))
val_dataloader = dict(dataset=dict(labels=labels))
test_dataloader = dict(dataset=dict(labels=labels))
