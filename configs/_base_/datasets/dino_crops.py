"""Whole images up to 1224 x 1224, larger ones in pieces, for DINO's views."""

_base_ = ["./_multi_crop.py"]

train_dataloader = dict(
    batch_size=32,
    num_workers=12,
    persistent_workers=True,
    sampler=dict(type="mmseg.ProportionalSampler"),
    batch_sampler=dict(type="mmseg.ProportionalBatches"),
    collate_fn=dict(type="default_collate"),
    dataset=dict(type="CropDataset", crop=1224, repeat_grey=True, stride=1224, pipeline={{_base_.multi_crop}}),
)
