"""ViT-S for patches of 120 x 120 with bands of any number: 15 x 15 tokens of 8 x 8 pixels."""

model = dict(
    type="Classifier",
    backbone=dict(type="VisionTransformer", arch="deit-small", img_size=120, patch_size=8, drop_path_rate=0.1),
    head=dict(type="MultiLabelLinearClsHead", in_channels=384, loss=dict(type="MeanSigmoidLoss"), thr=0.5),
)
