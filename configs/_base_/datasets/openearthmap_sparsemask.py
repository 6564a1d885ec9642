"""OpenEarthMap with SparseMask's augmentations: seven scales, crops of 513, horizontal flips, batches of 16."""

_base_ = ["./openearthmap.py"]

_scales = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]
_pipeline = [
    {{_base_.load_image}},
    dict(type="LoadLabels"),
    dict(type="RandomChoice", transforms=[[dict(type="Resize", scale_factor=s, keep_ratio=True)] for s in _scales]),
    dict(type="RandomCrop", crop_size=(513, 513)),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="Pad", size=(513, 513), pad_val=dict(img=(104, 116, 124), seg=255)),  # the mean, blue first
    dict(type="PackSegInputs", meta_keys={{_base_.meta_keys}}),
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=_pipeline))
