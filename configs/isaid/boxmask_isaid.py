"""Boxes to masks from iSAID's instance masks, with DOTA's rotated boxes; no paper: ours.

    python tools/train_boxmask.py configs/isaid/boxmask_isaid.py
    python tools/convert_labels.py configs/isaid/convert_isaid.py --predictor boxmask \
        --checkpoint work_dirs/isaid/boxmask_isaid/boxmask.pth

Expected: not run, as only two images were at hand; their masks by a network of NWPU VHR-10: docs/results.md.
At most 8000 of the objects (max_masks) are trained on, in memory: 125 kB each.
"""

_base_ = [
    "../_base_/models/boxmask_efficientnet_lite0.py",
    "../_base_/datasets/object_patches.py",
    "../_base_/schedules/boxmask.py",
    "../_base_/default_runtime_boxmask.py",
]

masks = dict(
    format="dota",
    images="data/isaid/images",
    annotations="data/isaid/labelTxt",
    classes="sota",
    truth=dict(kind="isaid", masks="data/isaid/images"),
)
train_dataloader = dict(dataset=dict(sets=[masks]))
val_dataloader = dict(dataset=dict(sets=[masks]))
