"""SegFormer with MiT-B5 on a tenth of OpenEarthMap's training images (OpenEarthMap paper, table 5).

    python tools/train.py configs/openearthmap/segformer_b5_few_openearthmap.py

The list is written by tools/split_openearthmap.py.  A tenth of the iterations: each image is seen as often as in
segformer_b5_openearthmap.py.  Expected (paper, on the test list): mIoU 51.61.  Not run by us.
Which tenth it was and how long it trained is not in the paper.
"""

_base_ = ["./segformer_b5_openearthmap.py"]

train_dataloader = dict(dataset=dict(ann_file="", subset="data/splits/openearthmap/few/few_10_seed0.txt"))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, begin=0, end=150, by_epoch=False),
    dict(type="PolyLR", power=1.0, eta_min=0.0, begin=150, end=8000, by_epoch=False),
]
train_cfg = dict(max_iters=8000, val_interval=400)
