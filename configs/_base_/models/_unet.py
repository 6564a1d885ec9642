"""U-Net in its usual size: five maps of an encoder, blocks of 256 to 16 channels; a model's own file adds the maps."""

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
        type="UNetHead",
        decoder_channels=(256, 128, 64, 32, 16),
        head="plain",
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
