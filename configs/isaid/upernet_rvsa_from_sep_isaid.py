"""UPerNet ViT-B + RVSA on iSAID from SEP (no row of the SAMRS paper).

    tools/dist_train.sh configs/isaid/upernet_rvsa_from_sep_isaid.py 8

Not run by us.
Other weights, the published ones for example: as in configs/potsdam/upernet_swin_from_sep_potsdam.py.
"""

_base_ = ["./upernet_rvsa_isaid.py"]

model = dict(backbone=dict(init_cfg=None))
checkpoint = "work_dirs/samrs/upernet_rvsa_sep/iter_80000.pth"
default_hooks = dict(
    start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.conv_seg"], unused=["heads"])
)
