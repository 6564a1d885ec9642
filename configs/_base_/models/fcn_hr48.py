"""HRNet-W48 with one convolution over its four maps together, as in mmsegmentation."""

_base_ = ["./_upernet.py"]


def _stage(modules, block, blocks, channels):
    return dict(
        num_modules=modules,
        num_branches=len(channels),
        block=block,
        num_blocks=(blocks,) * len(channels),
        num_channels=channels,
    )


model = dict(
    backbone=dict(
        type="HRNet",
        norm_cfg={{_base_.norm_cfg}},
        extra=dict(
            stage1=_stage(1, "BOTTLENECK", 4, (64,)),
            stage2=_stage(1, "BASIC", 4, (48, 96)),
            stage3=_stage(4, "BASIC", 4, (48, 96, 192)),
            stage4=_stage(3, "BASIC", 4, (48, 96, 192, 384)),
        ),
        init_cfg=dict(
            type="Pretrained",
            checkpoint="https://download.openmmlab.com/pretrain/third_party/hrnetv2_w48-d2186c55.pth",
        ),
    ),
    decode_head=dict(
        _delete_=True,
        type="FCNHead",
        in_channels=[48, 96, 192, 384],
        in_index=(0, 1, 2, 3),
        channels=720,
        input_transform="resize_concat",
        kernel_size=1,
        num_convs=1,
        concat_input=False,
        dropout_ratio=-1,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
)
