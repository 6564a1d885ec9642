"""SETR PUP with ViT-L/16 on OpenEarthMap (OpenEarthMap paper, table 3).

    python tools/train.py configs/openearthmap/setr_pup_vit_l_openearthmap.py

Expected (paper, on the test list, whose labels are not public): mIoU 61.40.  Not run by us.
The row says PUP, but its parameters are those of MLA: setr_mla_vit_l_openearthmap.py.
Training, tests, deviations, parameters and FLOPs: README.md in this folder.
"""

_base_ = [
    "../_base_/models/setr_pup_vit_l.py",
    "../_base_/datasets/openearthmap.py",
    "../_base_/schedules/landcover_80k_sgd.py",
    "../_base_/default_runtime.py",
]

aux = dict(
    type="SETRUPHead",
    num_classes=8,
    in_channels=1024,
    channels=256,
    num_convs=2,
    kernel_size=3,
    dropout_ratio=0,
    norm_cfg={{_base_.norm_cfg}},
    align_corners=False,
    loss_decode=dict(type="CrossEntropyLoss", loss_weight=0.4, avg_non_ignore=True),
)
model = dict(
    decode_head=dict(num_classes=8),
    auxiliary_head=[dict(**aux, in_index=i) for i in range(3)],
    test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)),
)
optimizer = dict(lr=0.001, weight_decay=0.0)
optim_wrapper = dict(optimizer=optimizer, paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=10.0))))
