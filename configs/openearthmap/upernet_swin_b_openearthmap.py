"""UPerNet with Swin-B on OpenEarthMap (OpenEarthMap paper, table 3).

    python tools/train.py configs/openearthmap/upernet_swin_b_openearthmap.py

Expected (paper, on the test list, whose labels are not public): mIoU 66.09.  Not run by us.
The row says Swin-B, but its parameters and FLOPs are those of Swin-T: upernet_swin_t_openearthmap.py.
Training, tests, deviations, parameters and FLOPs: README.md in this folder.
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
