"""K-Net with Swin-B on a tenth of OpenEarthMap's training images (OpenEarthMap paper, table 5).

    python tools/train.py configs/openearthmap/knet_swin_b_few_openearthmap.py

The list is written by tools/split_openearthmap.py.  A tenth of the iterations: each image is seen as often as in
knet_swin_b_openearthmap.py.  Expected (paper, on the test list): mIoU 54.33.  Not run by us.
Which tenth it was and how long it trained is not in the paper.
"""

_base_ = ["./knet_swin_b_openearthmap.py"]

train_dataloader = dict(dataset=dict(ann_file="", subset="data/splits/openearthmap/few/few_10_seed0.txt"))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, begin=0, end=100, by_epoch=False),
    dict(type="MultiStepLR", milestones=[6000, 7200], begin=100, end=8000, by_epoch=False),
]
train_cfg = dict(max_iters=8000, val_interval=400)
