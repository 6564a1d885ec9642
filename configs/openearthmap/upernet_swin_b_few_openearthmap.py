"""UPerNet with Swin-B on a tenth of OpenEarthMap's training images (OpenEarthMap paper, table 5).

    python tools/train.py configs/openearthmap/upernet_swin_b_few_openearthmap.py

The list is written by tools/split_openearthmap.py.  A tenth of the iterations: each image is seen as often as in
upernet_swin_b_openearthmap.py.  Expected (paper, on the test list): mIoU 52.39.  Not run by us.
Which tenth it was and how long it trained is not in the paper.
"""

_base_ = [
    "../_base_/models/upernet_swin_b_auxiliary.py",
    "../_base_/datasets/openearthmap.py",
    "../_base_/schedules/landcover_80k.py",
    "../_base_/default_runtime.py",
]

model = dict(
    decode_head=dict(num_classes=8),
    auxiliary_head=dict(num_classes=8),
    test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)),
)
train_dataloader = dict(dataset=dict(ann_file="", subset="data/splits/openearthmap/few/few_10_seed0.txt"))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, begin=0, end=150, by_epoch=False),
    dict(type="PolyLR", power=1.0, eta_min=0.0, begin=150, end=8000, by_epoch=False),
]
train_cfg = dict(max_iters=8000, val_interval=400)
