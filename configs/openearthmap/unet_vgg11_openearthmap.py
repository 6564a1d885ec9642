"""U-Net with VGG-11 on OpenEarthMap (OpenEarthMap paper, table 3).

    python tools/train.py configs/openearthmap/unet_vgg11_openearthmap.py

Expected (paper, on the test list, whose labels are not public): mIoU 64.97.  Not run by us.
Training, tests, deviations, parameters and FLOPs: README.md in this folder.
"""

_base_ = [
    "../_base_/models/unet_vgg11.py",
    "../_base_/datasets/openearthmap.py",
    "../_base_/schedules/landcover_80k_unet.py",
    "../_base_/default_runtime_mmpretrain.py",
]

model = dict(decode_head=dict(num_classes=8), test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)))
