"""K-Net with Swin-B: UPerNet, then three kernel updates, whose settings name the classes: they stand in the leaf."""

_base_ = ["./_upernet.py"]

weights = (
    "https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/swin/"
    "swin_base_patch4_window7_224_20220317-e9b98025.pth"
)
model = dict(
    backbone=dict(
        type="SwinTransformer",
        embed_dims=128,
        depths=[2, 2, 18, 2],
        num_heads=[4, 8, 16, 32],
        window_size=7,
        drop_path_rate=0.3,
        init_cfg=dict(type="Pretrained", checkpoint=weights),
    ),
    decode_head=dict(
        _delete_=True,
        type="IterativeDecodeHead",
        num_stages=3,
        kernel_generate_head=dict(
            type="LowResUPerHead",
            in_channels=[128, 256, 512, 1024],
            in_index=[0, 1, 2, 3],
            pool_scales=(1, 2, 3, 6),
            channels=512,
            dropout_ratio=0.1,
            norm_cfg={{_base_.norm_cfg}},
            align_corners=False,
            loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
        ),
    ),
    auxiliary_head=dict(
        type="FCNHead",
        in_channels=512,
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", loss_weight=0.4, avg_non_ignore=True),
    ),
)
