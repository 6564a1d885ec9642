"""UPerNet ViTAEv2-S on iSAID from SEP (SAMRS paper, table 4, IMP+SEP).

    tools/dist_train.sh configs/isaid/upernet_vitae_from_sep_isaid.py 8

Expected (paper): mIoU 66.26.  Not run by us.
Other weights, the published ones for example: as in configs/potsdam/upernet_swin_from_sep_potsdam.py.
"""

_base_ = ["./upernet_vitae_isaid.py"]

model = dict(backbone=dict(init_cfg=None))
checkpoint = "work_dirs/samrs/upernet_vitae_sep/iter_80000.pth"
default_hooks = dict(
    start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.conv_seg"], unused=["heads"])
)
