"""UPerNet ResNet-50 on the reference maps of BigEarthNet v2: all twelve bands, 19 classes per pixel (ours).

    tools/dist_train.sh configs/bigearthnet/upernet_r50_maps.py 2

Expected: no published figure for this model.  Not run by us.
80,000 iterations of 2 x 64 patches, 43 epochs of the 237,871 training patches.  Pixels of classes that the 19 leave out
carry no label.  With train_dataloader.dataset.packed=FOLDER bands come from tools/pack_bigearthnet.py's file.
"""

_base_ = [
    "../_base_/models/upernet_r50.py",
    "../_base_/datasets/bigearthnet_maps.py",
    "../_base_/schedules/landcover_80k.py",
    "../_base_/default_runtime.py",
]

imports = ["rsseg.datasets", "rsseg.datasets.bigearthnet", "rsseg.models", "rsseg.evaluation", "rsseg.engine"]
custom_imports = dict(imports=imports)
model = dict(
    data_preprocessor=dict(_delete_=True, type="BandPreprocessor", bands={{_base_.bands}}, size_divisor=1),
    backbone=dict(in_channels=12, init_cfg=None),
    decode_head=dict(num_classes=19),
)
