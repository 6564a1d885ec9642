"""DeepLabV3 with ResNet-50 on OpenEarthMap (OpenEarthMap paper, table 3).

    python tools/train.py configs/openearthmap/deeplabv3_r50_openearthmap.py

Expected (paper, on the test list, whose labels are not public): mIoU 63.16.  Not run by us.
Training, tests, deviations, parameters and FLOPs: README.md in this folder.
"""

_base_ = [
    "../_base_/models/deeplabv3_r50.py",
    "../_base_/datasets/openearthmap.py",
    "../_base_/schedules/landcover_80k_sgd.py",
    "../_base_/default_runtime.py",
]

model = dict(
    decode_head=dict(num_classes=8),
    auxiliary_head=dict(num_classes=8),
    test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)),
)
