"""Mask2Former ResNet-50 on Potsdam from SEP, in the settings of the SAMRS release (SAMRS paper, table 3, IMP+SEP).

    tools/dist_train.sh configs/potsdam/mask2former_r50_release_from_sep_potsdam.py 8

Expected (paper): OA 70.14, mF1 69.86.  Not run by us.
Other weights, the published ones for example: as in upernet_swin_from_sep_potsdam.py.
"""

_base_ = ["./mask2former_r50_release_potsdam.py"]

model = dict(backbone=dict(init_cfg=None))
checkpoint = "work_dirs/samrs/mask2former_r50_release_sep/iter_80000.pth"
default_hooks = dict(
    start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.cls_embed"], unused=["heads"])
)
