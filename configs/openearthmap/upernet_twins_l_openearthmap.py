"""UPerNet with Twins-PCPVT-L on OpenEarthMap (OpenEarthMap paper, table 3).

    python tools/train.py configs/openearthmap/upernet_twins_l_openearthmap.py

Expected (paper, on the test list, whose labels are not public): mIoU 64.05.  Not run by us.
Training, tests, deviations, parameters and FLOPs: README.md in this folder.
"""

_base_ = [
    "../_base_/models/upernet_twins_l.py",
    "../_base_/datasets/openearthmap.py",
    "../_base_/schedules/landcover_80k.py",
    "../_base_/default_runtime.py",
]

model = dict(
    decode_head=dict(num_classes=8),
    auxiliary_head=dict(num_classes=8),
    test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)),
)
