"""OpenEarthMap for FasterSeg's search: images at half size, crops of 224 x 448, half of them for the architecture."""

_base_ = ["./openearthmap.py"]

_pipeline = [
    {{_base_.load_image}},
    dict(type="LoadLabels"),
    dict(type="Resize", scale_factor=0.5, keep_ratio=True),
    dict(type="RandomCrop", crop_size=(224, 448)),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="Pad", size=(224, 448), pad_val=dict(img=0, seg=255)),
    dict(type="PackSegInputs", meta_keys={{_base_.meta_keys}}),
]
_sampler = dict(type="ProportionalSampler", shares=[0.5, 0.5], counts=[2, 2])
train_dataloader = dict(batch_size=4, sampler=_sampler, dataset=dict(pipeline=_pipeline))
