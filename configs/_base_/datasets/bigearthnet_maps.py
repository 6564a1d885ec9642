"""BigEarthNet v2.0 for segmentation: twelve bands of Sentinel-2 and reference maps of the 19 classes."""

bands = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
bands_step, labels_step = dict(type="LoadBands"), dict(type="LoadReferenceMap")
flips = [dict(type="RandomFlip", prob=0.5, direction=direction) for direction in ("horizontal", "vertical")]
keys = ("img_path", "seg_map_path", "ori_shape", "img_shape", "band_names", "flip", "flip_direction", "dataset_name")
pack = dict(type="PackSegInputs", meta_keys=(*keys, "table"))
train_pipeline = [bands_step, labels_step, *flips, dict(type="RandomRotate90"), pack]
test_pipeline = [bands_step, labels_step, pack]
views = [dict(type="RandomFlip", prob=prob, direction="horizontal") for prob in (0.0, 1.0)]
tta_pipeline = [bands_step, dict(type="TestTimeAug", transforms=[views, [labels_step], [pack]])]
common = dict(type="BigEarthNetMaps", table="bigearthnet19", data_root="data/bigearthnet_v2", bands=bands)
loader = dict(batch_size=64, num_workers=4, persistent_workers=True)
by_share = dict(sampler=dict(type="ProportionalSampler"), batch_sampler=dict(type="ProportionalBatches"))
train_dataloader = dict(dataset=dict(split="train", pipeline=train_pipeline, **common), **by_share, **loader)
in_order = dict(sampler=dict(type="DefaultSampler", shuffle=False), **loader)
val_dataloader = dict(dataset=dict(split="val", pipeline=test_pipeline, **common), **in_order)
test_dataloader = dict(dataset=dict(split="test", pipeline=test_pipeline, **common), **in_order)
