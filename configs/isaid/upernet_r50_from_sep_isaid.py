"""UPerNet ResNet-50 on iSAID from SEP (SAMRS paper, table 4, IMP+SEP).

    tools/dist_train.sh configs/isaid/upernet_r50_from_sep_isaid.py 8

Expected (paper): mIoU 58.10.  Not run by us.
Other weights, the published ones for example: as in configs/potsdam/upernet_swin_from_sep_potsdam.py.
"""

_base_ = ["./upernet_r50_isaid.py"]

model = dict(backbone=dict(init_cfg=None))
checkpoint = "work_dirs/samrs/upernet_r50_sep/iter_80000.pth"
default_hooks = dict(
    start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.conv_seg"], unused=["heads"])
)
