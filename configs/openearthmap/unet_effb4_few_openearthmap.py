"""U-Net with EfficientNet-B4 and scSE on a tenth of OpenEarthMap's training images (OpenEarthMap paper, table 5).

    python tools/train.py configs/openearthmap/unet_effb4_few_openearthmap.py

The list is written by tools/split_openearthmap.py.  A tenth of the iterations: each image is seen as often as in
unet_effb4_openearthmap.py.  Expected (paper, on the test list): mIoU 60.18.  Not run by us.
Which tenth it was and how long it trained is not in the paper.
"""

_base_ = ["./unet_effb4_openearthmap.py"]

train_dataloader = dict(dataset=dict(ann_file="", subset="data/splits/openearthmap/few/few_10_seed0.txt"))
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0.0, begin=0, end=8000, by_epoch=False)]
train_cfg = dict(max_iters=8000, val_interval=400)
