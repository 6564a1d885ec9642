"""ResNet-50 on BigEarthNet v1.0: all twelve bands, 43 classes; what the paper's section 4 calls a deeper model.

    python tools/train.py configs/bigearthnet/resnet50_all.py
    python tools/test.py configs/bigearthnet/resnet50_all.py work_dirs/bigearthnet/resnet50_all/epoch_100.pth

From scratch.  To start from ImageNet, inflate the first convolution and name the file:

    python tools/convert_weights.py resnet50-11ad3fa6.pth data/weights/resnet50_12.pth --set in_channels=12
    ... --cfg-options model.backbone.init_cfg.type=Pretrained \
        model.backbone.init_cfg.checkpoint=data/weights/resnet50_12.pth

Expected: not in the paper.  Not run by us on the archive.
"""

_base_ = [
    "../_base_/models/labels_r50.py",
    "../_base_/datasets/bigearthnet.py",
    "../_base_/schedules/bigearthnet_100.py",
    "../_base_/default_runtime_cls.py",
]

model = dict(backbone=dict(in_channels=12), head=dict(num_classes=43))
