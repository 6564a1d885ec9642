"""Inception-v2 of ImageNet, frozen, then a layer of 128 and one that scores the classes.

The file is made by tools/convert_weights.py FILE data/weights/inception_v2.pth of pretrained-models'
bn_inception-52deb4733.pth, or of TF-slim's inception_v2_2016_08_28 (rsseg/engine/weights/inception.py says how to get
an .npz of it; then --cfg-options model.backbone.release=slim).
"""

model = dict(
    type="Classifier",
    backbone=dict(
        type="InceptionV2",
        release="caffe",
        frozen=True,
        init_cfg=dict(type="Pretrained", checkpoint="data/weights/inception_v2.pth"),
    ),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="HiddenMultiLabelHead", in_channels=1024),
)
