"""DeepLabV3 with ResNet-50 (v1c, dilated to stride 8) as in mmsegmentation."""

_base_ = ["./_upernet_auxiliary.py"]

model = dict(
    backbone=dict(
        type="ResNetV1c",
        depth=50,
        dilations=(1, 1, 2, 4),
        strides=(1, 2, 1, 1),
        norm_cfg={{_base_.norm_cfg}},
        style="pytorch",
        contract_dilation=True,
        init_cfg=dict(
            type="Pretrained",
            checkpoint="https://download.openmmlab.com/pretrain/third_party/resnet50_v1c-2cccc1ad.pth",
        ),
    ),
    decode_head=dict(
        _delete_=True,
        type="ASPPHead",
        in_channels=2048,
        in_index=3,
        channels=512,
        dilations=(1, 12, 24, 36),
        dropout_ratio=0.1,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
    auxiliary_head=dict(in_channels=1024),
)
