"""Patches of objects with masks; a leaf names the sets.  A tenth of the masks is held out, which calibrates."""

patches = dict(type="ObjectPatches", sets=[], held_out=0.1)
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    drop_last=True,
    dataset=dict(**patches, part="train", balance=0.5),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    collate_fn=dict(type="default_collate"),
    dataset=dict(**patches, part="held_out"),
)
