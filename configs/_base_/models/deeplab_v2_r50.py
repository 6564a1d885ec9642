"""DeepLabV2 with ResNet-50 at stride 16 as LoveDA's release adapts it; a leaf says which form and which method."""

_base_ = ["./_adaptation.py"]

model = dict(
    backbone=dict(
        type="ResNet",
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        contract_dilation=True,  # the first block of the last stage is not dilated
        norm_cfg={{_base_.norm_cfg}},
        norm_eval=False,
        style="pytorch",
        init_cfg=dict(type="Pretrained", checkpoint="torchvision://resnet50"),
    ),
    decode_head=dict(
        type="DeepLabV2Head",
        norm_cfg={{_base_.norm_cfg}},
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
)
