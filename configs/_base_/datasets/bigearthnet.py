"""BigEarthNet v1.0: patches of 120 x 120 pixels, all twelve bands of Sentinel-2, the 43 classes of CLC's level 3."""

bands = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
data_preprocessor = dict(type="BandPreprocessor", bands=bands, version="v1")
flips = [dict(type="RandomFlip", prob=0.5, direction=direction) for direction in ("horizontal", "vertical")]
pack = dict(type="PackInputs", meta_keys=("img_path", "ori_shape", "img_shape", "band_names"))
train_pipeline = [dict(type="LoadBands"), *flips, pack]
test_pipeline = [dict(type="LoadBands"), pack]
views = [dict(type="RandomFlip", prob=prob, direction="horizontal") for prob in (0.0, 1.0)]
tta_pipeline = [dict(type="LoadBands"), dict(type="TestTimeAug", transforms=[views, [pack]])]
common = dict(type="BigEarthNet", data_root="data/bigearthnet_v1", version="v1", bands=bands, labels="level3")
loader = dict(batch_size=256, num_workers=4, persistent_workers=True)
train_dataloader = dict(
    dataset=dict(split="train", pipeline=train_pipeline, **common),
    sampler=dict(type="DefaultSampler", shuffle=True),
    **loader,
)
in_order = dict(type="DefaultSampler", shuffle=False)
val_dataloader = dict(dataset=dict(split="val", pipeline=test_pipeline, **common), sampler=in_order, **loader)
test_dataloader = dict(dataset=dict(split="test", pipeline=test_pipeline, **common), sampler=in_order, **loader)
