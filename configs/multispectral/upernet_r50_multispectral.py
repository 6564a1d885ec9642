"""UPerNet ResNet-50 on tiles of your own: red, green, blue and near infrared of 16 bits (ours).

    python tools/check_dataset.py configs/multispectral/upernet_r50_multispectral.py
    python tools/convert_weights.py resnet50-0676ba61.pth data/weights/resnet50_rgbn.pth --set take=[0,1,2,-1]
    tools/dist_train.sh configs/multispectral/upernet_r50_multispectral.py 2

Expected: no published figure.  Not run by us on a GPU.  The weights are torchvision's: the filters for red, green and
blue are kept, near infrared gets their mean.  For other tiles change table, num_classes and in_channels, and what the
first command proposes: bands, value_range, mean and std.  Checkpoints keep these four, and maps are made by them.
"""

_base_ = [
    "../_base_/models/upernet_r50.py",
    "../_base_/datasets/multispectral.py",
    "../_base_/schedules/landcover_80k.py",
    "../_base_/default_runtime.py",
]

bands, value_range = (1, 2, 3, 4), (0, 10000)
data_preprocessor = dict(type="MultibandPreprocessor", mean=[64.0] * 4, std=[64.0] * 4)
weights = dict(type="Pretrained", checkpoint="data/weights/resnet50_rgbn.pth")
model = dict(
    data_preprocessor=dict(_delete_=True, size_divisor=1, **data_preprocessor),
    backbone=dict(in_channels=4, init_cfg=weights),
    decode_head=dict(num_classes=6),
    test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)),
)
