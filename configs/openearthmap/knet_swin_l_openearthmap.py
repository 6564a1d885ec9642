"""K-Net with Swin-L on OpenEarthMap (OpenEarthMap paper, table 3).

    python tools/train.py configs/openearthmap/knet_swin_l_openearthmap.py

Expected (paper, on the test list, whose labels are not public): mIoU 66.11.  Not run by us.
The row says Swin-B, but its parameters and FLOPs are those of Swin-L; with Swin-B: knet_swin_b_openearthmap.py.
Training, tests, deviations, parameters and FLOPs: README.md in this folder.
"""

_base_ = [
    "../_base_/models/knet_swin_l.py",
    "../_base_/datasets/openearthmap.py",
    "../_base_/schedules/landcover_80k.py",
    "../_base_/default_runtime.py",
]

update = dict(
    type="KernelUpdateHead", num_classes=8, in_channels=512, out_channels=512, conv_kernel_size=1, with_ffn=True,
    num_heads=8, num_ffn_fcs=2, num_mask_fcs=1, feedforward_channels=2048, dropout=0.0, ffn_act_cfg=dict(type="ReLU"),
    feat_transform_cfg=dict(conv_cfg=dict(type="Conv2d"), act_cfg=None),
    kernel_updator_cfg=dict(
        type="KernelUpdator", in_channels=256, feat_channels=256, out_channels=256, act_cfg=dict(type="ReLU"),
        norm_cfg=dict(type="LN"),
    ),
)  # fmt: skip
model = dict(
    decode_head=dict(kernel_update_head=[update] * 3, kernel_generate_head=dict(num_classes=8)),
    auxiliary_head=dict(num_classes=8),
    test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)),
)
optim_wrapper = dict(optimizer=dict(weight_decay=5e-4), clip_grad=dict(max_norm=1, norm_type=2))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, begin=0, end=1000, by_epoch=False),
    dict(type="MultiStepLR", milestones=[60000, 72000], begin=1000, end=80000, by_epoch=False),
]
