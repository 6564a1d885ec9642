"""S-CNN on the reference maps of BigEarthNet v2: all twelve bands, 19 classes per pixel (ours).

    python tools/train.py configs/bigearthnet/fcn_scnn_maps.py

Expected: no published figure for this model.  Not run by us on the archive.  From scratch; fcn_scnn_maps_from_labels.py
starts from S-CNN-All.
"""

_base_ = [
    "../_base_/models/fcn_scnn.py",
    "../_base_/datasets/bigearthnet_maps.py",
    "../_base_/schedules/landcover_80k.py",
    "../_base_/default_runtime.py",
]

imports = ["rsseg.datasets", "rsseg.datasets.bigearthnet", "rsseg.models", "rsseg.evaluation", "rsseg.engine"]
custom_imports = dict(imports=imports)
model = dict(
    data_preprocessor=dict(type="BandPreprocessor", bands={{_base_.bands}}, size_divisor=1),
    backbone=dict(in_channels=12),
    decode_head=dict(num_classes=19),
)
