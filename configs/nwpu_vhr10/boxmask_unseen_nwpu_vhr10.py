"""Boxes to masks without any mask of a ship, a bridge or a tennis court: how well classes do that are never shown.

    python tools/train_boxmask.py configs/nwpu_vhr10/boxmask_unseen_nwpu_vhr10.py

Expected (measured with train_cfg.max_iters=350, mIOU_I): ship 0.776, bridge 0.526, tennis court 0.875; GrabCut:
0.782, 0.574 and 0.718; docs/results.md.
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
train_dataloader = dict(dataset=dict(sets=[masks]))
val_dataloader = dict(dataset=dict(sets=[masks]))
