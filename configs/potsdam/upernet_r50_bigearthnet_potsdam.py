"""UPerNet ResNet-50 on Potsdam from BigEarthNet's labels: of twelve bands' filters, those for red, green and blue.

    tools/dist_train.sh configs/bigearthnet/resnet50_all.py 2
    python tools/convert_weights.py FILE data/weights/resnet50_bigearthnet.pth --set take=[3,2,1]
    tools/dist_train.sh configs/potsdam/upernet_r50_bigearthnet_potsdam.py 8

FILE: work_dirs/bigearthnet/resnet50_all/epoch_100.pth.  Expected: no published figure.  Not run by us.
"""

_base_ = ["./upernet_r50_potsdam.py"]

model = dict(backbone=dict(init_cfg=dict(checkpoint="data/weights/resnet50_bigearthnet.pth")))
