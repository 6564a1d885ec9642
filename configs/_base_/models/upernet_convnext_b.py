"""UPerNet with ConvNeXt-B as in mmsegmentation; the backbone is mmpretrain's."""

_base_ = ["./_upernet_auxiliary.py"]

weights = (
    "https://download.openmmlab.com/mmclassification/v0/convnext/downstream/"
    "convnext-base_3rdparty_32xb128-noema_in1k_20220301-2a0ee547.pth"
)
model = dict(
    backbone=dict(
        type="mmpretrain.ConvNeXt",
        arch="base",
        out_indices=[0, 1, 2, 3],
        drop_path_rate=0.4,
        layer_scale_init_value=1.0,
        gap_before_final_norm=False,
        init_cfg=dict(type="Pretrained", checkpoint=weights, prefix="backbone."),
    ),
    decode_head=dict(in_channels=[128, 256, 512, 1024]),
    auxiliary_head=dict(in_channels=512),
)
