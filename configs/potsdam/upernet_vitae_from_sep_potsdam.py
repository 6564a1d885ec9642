"""UPerNet ViTAEv2-S on Potsdam from SEP (SAMRS paper, table 3, IMP+SEP).

    tools/dist_train.sh configs/potsdam/upernet_vitae_from_sep_potsdam.py 8

Expected (paper): OA 92.25, mF1 92.55, inflated by its evaluation (docs/design.md).  Not run by us.
Other weights, the published ones for example: as in upernet_swin_from_sep_potsdam.py.
"""

_base_ = ["./upernet_vitae_potsdam.py"]

model = dict(backbone=dict(init_cfg=None))
checkpoint = "work_dirs/samrs/upernet_vitae_sep/iter_80000.pth"
default_hooks = dict(
    start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.conv_seg"], unused=["heads"])
)
