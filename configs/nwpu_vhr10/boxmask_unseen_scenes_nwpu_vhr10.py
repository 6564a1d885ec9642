"""The same, with exact masks of procedural scenes, ships and bridges among them, to train on besides.

    python tools/make_scenes.py dior data/scenes/dior && python tools/make_scenes.py hrsc data/scenes/hrsc
    python tools/train_boxmask.py configs/nwpu_vhr10/boxmask_unseen_scenes_nwpu_vhr10.py

Expected (measured, 130 iterations from the weights of boxmask_unseen_nwpu_vhr10.py, mIOU_I): ship 0.796, bridge 0.588,
tennis court 0.887, each better than GrabCut's; docs/results.md.
"""

_base_ = ["./boxmask_nwpu_vhr10.py"]

masks = dict(
    format="coco",
    images="data/nwpu_vhr10/images",
    annotations="data/nwpu_vhr10/instances.json",
    classes="nwpu_vhr10",
    truth=dict(kind="coco", polygons="labelme"),
    stems="data/splits/nwpu_vhr10/masks_half.txt",
    scenes="data/splits/nwpu_vhr10/scenes.txt",
    omit=["ship", "bridge", "tennis_court"],
)
scenes = dict(
    format="dior",
    images="data/scenes/dior/JPEGImages-trainval",
    annotations="data/scenes/dior/Annotations/Horizontal Bounding Boxes",
    classes="sior",
    truth=dict(kind="instance_png", masks="data/scenes/dior/masks"),
    train_only=True,
)
harbours = dict(
    format="hrsc",
    images="data/scenes/hrsc/AllImages",
    annotations="data/scenes/hrsc/Annotations",
    classes="hrsc",
    truth=dict(kind="hrsc", masks="data/scenes/hrsc/LandMask"),
    train_only=True,
)
train_dataloader = dict(dataset=dict(sets=[masks, scenes, harbours], max_masks=1200))
