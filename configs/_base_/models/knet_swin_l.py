"""K-Net with Swin-L (ImageNet-22k)."""

_base_ = ["./knet_swin_b.py"]

weights = (
    "https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/swin/"
    "swin_large_patch4_window7_224_22k_20220308-d5bdebaf.pth"
)
model = dict(
    backbone=dict(embed_dims=192, num_heads=[6, 12, 24, 48], init_cfg=dict(checkpoint=weights)),
    decode_head=dict(kernel_generate_head=dict(in_channels=[192, 384, 768, 1536])),
    auxiliary_head=dict(in_channels=768),
)
