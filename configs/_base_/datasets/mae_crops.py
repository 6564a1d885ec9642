"""Crops for masked autoencoding, 384 x 384 with a stride of 300, of which random parts are resized to 224."""

train_pipeline = [
    dict(type="RandomResizedCrop", scale=224, crop_ratio_range=(0.2, 1.0), backend="pillow", interpolation="bicubic"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackInputs"),
]
train_dataloader = dict(
    batch_size=512,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type="mmseg.ProportionalSampler"),
    batch_sampler=dict(type="mmseg.ProportionalBatches"),
    collate_fn=dict(type="default_collate"),
    dataset=dict(type="CropDataset", crop=384, repeat_grey=True, stride=300, pipeline=train_pipeline),
)
