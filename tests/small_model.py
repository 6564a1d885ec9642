"""A segmentor of three classes that is built and run in milliseconds."""

MODEL = dict(
    type="mmseg.Segmentor",
    data_preprocessor=dict(type="SegDataPreProcessor", mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True, pad_val=0,
                           seg_pad_val=255),
    backbone=dict(type="mmseg.ResNetV1c", depth=18, base_channels=1, num_stages=1, strides=(1,), dilations=(1,),
                  out_indices=(0,), contract_dilation=True, norm_cfg=dict(type="BN")),
    decode_head=dict(type="FCNHead", in_channels=1, channels=3, num_convs=1, concat_input=False, num_classes=3,
                     norm_cfg=dict(type="BN"), align_corners=False, loss_decode=dict(type="CrossEntropyLoss")),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)  # fmt: skip
