"""UPerNet ResNet-50 on BigEarthNet's reference maps, from ResNet-50 trained on labels of patches, twelve bands each.

    tools/dist_train.sh configs/bigearthnet/resnet50_all.py 2
    tools/dist_train.sh configs/bigearthnet/upernet_r50_maps_from_labels.py 2

Expected: no published figure.  Not run by us on the archive.  The first convolution is kept; for a set with other
bands, tools/convert_weights.py writes a file with another one, as
configs/potsdam/upernet_r50_bigearthnet_potsdam.py does.
"""

_base_ = ["./upernet_r50_maps.py"]

checkpoint = "work_dirs/bigearthnet/resnet50_all/epoch_100.pth"
default_hooks = dict(start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head"], unused=["head"]))
