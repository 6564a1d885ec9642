"""Weights of FasterSeg's supernet on OpenEarthMap, before the search (OpenEarthMap paper, section 3.3 and Table 4).

    python tools/train.py configs/openearthmap/fasterseg_pretrain_openearthmap.py

As in FasterSeg's release: 20 epochs of 500 steps, SGD 0.02 times 0.978 each, batches of 3 from the first half of the
images, crops of 256 x 512 at half size, no step of the architecture.  Not run by us.
"""

_base_ = [
    "../_base_/models/fasterseg_search.py",
    "../_base_/datasets/openearthmap_fasterseg.py",
    "../_base_/schedules/fasterseg_22k.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=8), phase="pretrain", weight_images=3)
_crop = (256, 512)
_pipeline = [
    {{_base_.load_image}},
    dict(type="LoadLabels"),
    dict(type="Resize", scale_factor=0.5, keep_ratio=True),
    dict(type="RandomCrop", crop_size=_crop),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="Pad", size=_crop, pad_val=dict(img=0, seg=255)),
    dict(type="PackSegInputs", meta_keys={{_base_.meta_keys}}),
]
train_dataloader = dict(batch_size=3, sampler=dict(counts=[3, 0]), dataset=dict(pipeline=_pipeline))
optim_wrapper = dict(optimizer=dict(lr=0.02))
param_scheduler = [dict(type="StepLR", step_size=500, gamma=0.978, by_epoch=False)]
train_cfg = dict(max_iters=10000, val_interval=2000)
