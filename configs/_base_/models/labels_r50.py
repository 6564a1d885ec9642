"""ResNet-50 for bands of any number, and one layer that scores the classes."""

model = dict(
    type="Classifier",
    backbone=dict(type="ResNet", depth=50, out_indices=(3,)),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="MultiLabelLinearClsHead", in_channels=2048, loss=dict(type="MeanSigmoidLoss"), thr=0.5),
)
