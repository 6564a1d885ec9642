"""UPerNet with Twins-PCPVT-L as in mmsegmentation."""

_base_ = ["./_upernet_auxiliary.py"]

weights = "https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/twins/pcpvt_large_20220308-37579dc6.pth"
model = dict(
    backbone=dict(
        type="PCPVT",
        embed_dims=[64, 128, 320, 512],
        num_heads=[1, 2, 5, 8],
        patch_sizes=[4, 2, 2, 2],
        strides=[4, 2, 2, 2],
        mlp_ratios=[8, 8, 4, 4],
        out_indices=(0, 1, 2, 3),
        qkv_bias=True,
        norm_cfg=dict(type="LN"),
        depths=[3, 8, 27, 3],
        sr_ratios=[8, 4, 2, 1],
        norm_after_stage=False,
        drop_path_rate=0.3,
        init_cfg=dict(type="Pretrained", checkpoint=weights),
    ),
    decode_head=dict(in_channels=[64, 128, 320, 512]),
    auxiliary_head=dict(in_channels=320),
)
