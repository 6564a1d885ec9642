"""UPerNet with a ResNet-18 of a quarter width, for CPUs, demos and tests.  Random initial weights."""

norm_cfg = dict(type="SyncBN", requires_grad=True)
data_preprocessor = dict(
    type="SegDataPreProcessor",
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size_divisor=1,
)
model = dict(
    type="Segmentor",
    data_preprocessor=data_preprocessor,
    backbone=dict(type="ResNet", depth=18, stem_channels=32, base_channels=32, style="pytorch", norm_cfg=norm_cfg),
    decode_head=dict(
        type="UPerHead",
        in_channels=[32, 64, 128, 256],
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=64,
        dropout_ratio=0.1,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
