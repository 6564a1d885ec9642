"""UPerNet as in the SAMRS release: UPerNet's head, no auxiliary head; a model's own file adds backbone and channels.

The decoder's initial weights are mmseg's, normal; the release draws them uniformly.  A norm follows each, so that their
scale does not matter.  Of the classifiers, those of several sets start as in the release, a single one as in mmseg.
"""

norm_cfg = dict(type="SyncBN", requires_grad=True)
model = dict(
    type="Segmentor",
    data_preprocessor=dict(
        type="SegDataPreProcessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1,
    ),
    decode_head=dict(
        type="LowResUPerHead",
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        dropout_ratio=0.1,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
