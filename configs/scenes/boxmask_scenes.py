"""Boxes to masks from the exact masks of procedural scenes; no paper: ours.

    python tools/make_scenes.py dior data/scenes/dior && python tools/make_scenes.py hrsc data/scenes/hrsc
    python tools/train_boxmask.py configs/scenes/boxmask_scenes.py

Shows that all works without any data.  For photographs train on masks of photographs.
"""

_base_ = [
    "../_base_/models/boxmask_efficientnet_lite0.py",
    "../_base_/datasets/object_patches.py",
    "../_base_/schedules/boxmask.py",
    "../_base_/default_runtime_boxmask.py",
]

scenes = dict(
    format="dior",
    images="data/scenes/dior/JPEGImages-trainval",
    annotations="data/scenes/dior/Annotations/Horizontal Bounding Boxes",
    classes="sior",
    truth=dict(kind="instance_png", masks="data/scenes/dior/masks"),
)
harbours = dict(
    format="hrsc",
    images="data/scenes/hrsc/AllImages",
    annotations="data/scenes/hrsc/Annotations",
    classes="hrsc",
    truth=dict(kind="hrsc", masks="data/scenes/hrsc/LandMask"),
)
train_dataloader = dict(dataset=dict(sets=[scenes, harbours]))
val_dataloader = dict(dataset=dict(sets=[scenes, harbours]))
