"""Boxes to masks from the masks of a tenth of NWPU VHR-10's images, 52; no paper: ours.

    python tools/train_boxmask.py configs/nwpu_vhr10/boxmask_few_nwpu_vhr10.py

Expected: docs/results.md.
"""

_base_ = ["./boxmask_nwpu_vhr10.py"]

masks = dict(
    format="coco",
    images="data/nwpu_vhr10/images",
    annotations="data/nwpu_vhr10/instances.json",
    classes="nwpu_vhr10",
    truth=dict(kind="coco", polygons="labelme"),
    stems="data/splits/nwpu_vhr10/masks_tenth.txt",
    scenes="data/splits/nwpu_vhr10/scenes.txt",
)
train_dataloader = dict(dataset=dict(sets=[masks]))
val_dataloader = dict(dataset=dict(sets=[masks]))
