"""UPerNet InternImage-T on iSAID from SEP (SAMRS paper, table 4, IMP+SEP).

    tools/dist_train.sh configs/isaid/upernet_internimage_from_sep_isaid.py 8

Expected (paper): mIoU 66.05.  Not run by us.
Other weights, the published ones for example: as in configs/potsdam/upernet_swin_from_sep_potsdam.py.
"""

_base_ = ["./upernet_internimage_isaid.py"]

model = dict(backbone=dict(init_cfg=None))
checkpoint = "work_dirs/samrs/upernet_internimage_sep/iter_80000.pth"
default_hooks = dict(
    start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.conv_seg"], unused=["heads"])
)
