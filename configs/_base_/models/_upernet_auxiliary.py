"""UPerNet as in mmsegmentation: UPerHead of 512 channels, an auxiliary head; a model's own file adds the backbone."""

_base_ = ["./_upernet.py"]

model = dict(
    decode_head=dict(channels=512),
    auxiliary_head=dict(
        type="FCNHead",
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
