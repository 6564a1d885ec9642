"""Mask2Former ResNet-50 on iSAID from SEP (no row of the SAMRS paper).

    tools/dist_train.sh configs/isaid/mask2former_r50_from_sep_isaid.py 8

Not run by us.
Other weights, the published ones for example: as in configs/potsdam/upernet_swin_from_sep_potsdam.py.
"""

_base_ = ["./mask2former_r50_isaid.py"]

model = dict(backbone=dict(init_cfg=None))
checkpoint = "work_dirs/samrs/mask2former_r50_sep/iter_80000.pth"
default_hooks = dict(
    start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.cls_embed"], unused=["heads"])
)
