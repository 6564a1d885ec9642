"""FasterSeg's derived network on OpenEarthMap (OpenEarthMap paper, table 4), with the architecture for Cityscapes.

    python tools/train.py configs/openearthmap/fasterseg_openearthmap.py

The architectures of the paper's two trials do not come with rsseg: a search of your own writes its own configs with
this one as their base, see fasterseg_trial1_openearthmap.py; the release's arch_1.pt is read as well (README.md in this
folder).  Expected (paper, its own architectures, test list): mIoU 57.55 and 58.51, 58.35 and 59.41 with flips.
Not run by us.  As in FasterSeg's release: schedule, batches of 12, losses.  Ours: crops of 512 x 512, for its
512 x 1024 are of street scenes.
"""

_base_ = [
    "../_base_/models/fasterseg.py",
    "../_base_/datasets/openearthmap.py",
    "../_base_/schedules/fasterseg_600k.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=8))
train_dataloader = dict(batch_size=12)
