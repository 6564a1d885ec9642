"""UPerNet ViT-B + RVSA on Potsdam from SEP (SAMRS paper, table 3, SAMRS-MAE+SEP).

    tools/dist_train.sh configs/potsdam/upernet_rvsa_samrs_mae_from_sep_potsdam.py 8

Expected (paper): OA 91.01, mF1 91.43, inflated by its evaluation (docs/design.md).  Not run by us.
Other weights, the published ones for example: as in upernet_swin_from_sep_potsdam.py.
"""

_base_ = ["./upernet_rvsa_potsdam.py"]

model = dict(backbone=dict(init_cfg=None))
checkpoint = "work_dirs/samrs/upernet_rvsa_samrs_mae_sep/iter_80000.pth"
default_hooks = dict(
    start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.conv_seg"], unused=["heads"])
)
