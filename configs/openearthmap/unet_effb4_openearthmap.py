"""U-Net with EfficientNet-B4 and scSE on OpenEarthMap (OpenEarthMap paper, table 3).

    python tools/train.py configs/openearthmap/unet_effb4_openearthmap.py

Expected (paper, on the test list, whose labels are not public): mIoU 68.20.  Not run by us.
The row's parameters are those with scSE; without: unet_effb4_plain_openearthmap.py.
Training, tests, deviations, parameters and FLOPs: README.md in this folder.
"""

_base_ = [
    "../_base_/models/unet_effb4.py",
    "../_base_/datasets/openearthmap.py",
    "../_base_/schedules/landcover_80k_unet.py",
    "../_base_/default_runtime_mmpretrain.py",
]

model = dict(decode_head=dict(num_classes=8), test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)))
