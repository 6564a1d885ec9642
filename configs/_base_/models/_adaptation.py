"""What the models of domain adaptation share; a leaf says which method it is."""

norm_cfg = dict(type="SyncBN", requires_grad=True)
model = dict(
    type="AdaptationSegmentor",
    data_preprocessor=dict(
        type="SegDataPreProcessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1,
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
