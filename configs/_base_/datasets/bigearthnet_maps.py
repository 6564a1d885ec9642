"""BigEarthNet v2.0 for segmentation: twelve bands of Sentinel-2 and reference maps of the 19 classes."""

bands = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
loading = [dict(type="LoadBands"), dict(type="LoadReferenceMap")]
flips = [dict(type="RandomFlip", prob=0.5, direction=direction) for direction in ("horizontal", "vertical")]
pack = dict(type="PackSegInputs", meta_keys=("img_path", "seg_map_path", "ori_shape", "img_shape", "band_names"))
train_pipeline = [*loading, *flips, dict(type="RandomRotate90"), pack]
test_pipeline = [*loading, pack]
common = dict(type="BigEarthNetMaps", table="bigearthnet19", data_root="data/bigearthnet_v2", bands=bands)
loader = dict(num_workers=4, persistent_workers=True)
train_dataloader = dict(
    dataset=dict(split="train", pipeline=train_pipeline, **common),
    sampler=dict(type="ProportionalSampler"),
    batch_sampler=dict(type="ProportionalBatches"),
    **loader,
    batch_size=64,
)
in_order = dict(sampler=dict(type="DefaultSampler", shuffle=False), batch_size=64, **loader)
val_dataloader = dict(dataset=dict(split="val", pipeline=test_pipeline, **common), **in_order)
test_dataloader = dict(dataset=dict(split="test", pipeline=test_pipeline, **common), **in_order)
