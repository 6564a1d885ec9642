"""UPerNet with ConvNeXt-B on OpenEarthMap (OpenEarthMap paper, table 3).

    python tools/train.py configs/openearthmap/upernet_convnext_b_openearthmap.py

Expected (paper, on the test list, whose labels are not public): mIoU 61.93.  Not run by us.
Training, tests, deviations, parameters and FLOPs: README.md in this folder.
"""

_base_ = [
    "../_base_/models/upernet_convnext_b.py",
    "../_base_/datasets/openearthmap.py",
    "../_base_/schedules/landcover_80k.py",
    "../_base_/default_runtime_mmpretrain.py",
]

model = dict(
    decode_head=dict(num_classes=8),
    auxiliary_head=dict(num_classes=8),
    test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)),
)
optim_wrapper = dict(
    optimizer=dict(lr=1e-4, weight_decay=0.05),
    constructor="LearningRateDecayOptimizerConstructor",
    paramwise_cfg=dict(_delete_=True, decay_rate=0.9, decay_type="stage_wise", num_layers=12),
)
