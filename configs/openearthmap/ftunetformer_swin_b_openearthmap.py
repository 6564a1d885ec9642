"""FT-UNetFormer with Swin-B on OpenEarthMap (OpenEarthMap paper, table 3).

    python tools/train.py configs/openearthmap/ftunetformer_swin_b_openearthmap.py

Expected (paper, on the test list, whose labels are not public): mIoU 69.13.  Not run by us.
Deviation: without the Dice loss and the label smoothing of the model's release.
Training, tests, deviations, parameters and FLOPs: README.md in this folder.
"""

_base_ = [
    "../_base_/models/ftunetformer_swin_b.py",
    "../_base_/datasets/openearthmap.py",
    "../_base_/schedules/landcover_80k_unetformer.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=8), test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)))
