"""FT-UNetFormer: Swin-B as encoder, UNetFormer's decoder for transformers with 256 channels, no auxiliary loss."""

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
        type="UNetFormerHead",
        in_channels=[128, 256, 512, 1024],
        channels=256,
        num_heads=16,
        full=True,
        auxiliary=None,
        dropout_ratio=0.2,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
)
