"""UPerNet ResNet-50 on BigEarthNet's reference maps from ImageNet: the first convolution is inflated to twelve bands.

    python tools/convert_weights.py resnet50-0676ba61.pth data/weights/resnet50_12.pth --set in_channels=12
    tools/dist_train.sh configs/bigearthnet/upernet_r50_maps_imagenet.py 2

Expected: no published figure.  Not run by us.  The file is torchvision's; each band gets the mean of the filters for
red, green and blue, divided by four, so that what goes on from there has the size it was trained for.
"""

_base_ = ["./upernet_r50_maps.py"]

model = dict(backbone=dict(init_cfg=dict(_delete_=True, type="Pretrained", checkpoint="data/weights/resnet50_12.pth")))
