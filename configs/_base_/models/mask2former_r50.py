"""Mask2Former with ResNet-50 (v1.5, plain stem) in its standard settings: 100 queries, 6 + 9 layers.

Its schedule: `../schedules/mask2former_80k.py`.  Several sets: `type="MultiHeadMask2Former"`, `heads=dict(...)`; one:
`decode_head.num_classes`.  Unlabelled pixels are outside of all masks; `decode_head.loss=dict(ignore_unlabelled=True)`
leaves them out, as the per-pixel losses of the other models do.
"""

norm_cfg = dict(type="SyncBN", requires_grad=True)
model = dict(
    type="Segmentor",
    data_preprocessor=dict(
        type="SegDataPreProcessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1,
    ),
    backbone=dict(
        type="ResNet",
        depth=50,
        style="pytorch",
        norm_cfg=norm_cfg,
        init_cfg=dict(type="Pretrained", checkpoint="torchvision://resnet50"),
    ),
    decode_head=dict(type="Mask2FormerDecoder", in_channels=[256, 512, 1024, 2048]),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
