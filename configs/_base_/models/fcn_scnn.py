"""S-CNN for segmentation: its three maps, resized to the patch and joined, and two convolutions of 64 filters."""

model = dict(
    type="Segmentor",
    backbone=dict(type="SCNN", out_indices=(0, 1, 2)),
    decode_head=dict(
        type="FCNHead",
        in_channels=[32, 32, 64],
        in_index=[0, 1, 2],
        input_transform="resize_concat",
        channels=64,
        num_convs=2,
        concat_input=False,
        dropout_ratio=0.1,
        norm_cfg=dict(type="SyncBN", requires_grad=True),
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
