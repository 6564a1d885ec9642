"""DAFormer: MiT-B5 with its context-aware head, and the method as released."""

_base_ = ["./_adaptation.py"]

weights = "https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/mit_b5_20220624-658746d9.pth"
model = dict(
    backbone=dict(
        type="MixVisionTransformer",
        embed_dims=64,
        num_layers=[3, 6, 40, 3],
        num_heads=[1, 2, 5, 8],
        patch_sizes=[7, 3, 3, 3],
        sr_ratios=[8, 4, 2, 1],
        out_indices=(0, 1, 2, 3),
        mlp_ratio=4,
        qkv_bias=True,
        drop_path_rate=0.1,
        init_cfg=dict(type="Pretrained", checkpoint=weights),
    ),
    decode_head=dict(
        type="DAFormerHead",
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss"),  # ignored pixels count in the mean, as in the release
    ),
    adaptation=dict(type="DAFormer"),
)
