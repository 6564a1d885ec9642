"""UNet ResNet-50 on Potsdam from SEP (SAMRS paper, table 3, RSP+SEP).

    tools/dist_train.sh configs/potsdam/unet_r50_rsp_from_sep_potsdam.py 8

Expected (paper): OA 90.72, mF1 91.18, inflated by its evaluation (docs/design.md).  Not run by us.
Other weights, the published ones for example: as in upernet_swin_from_sep_potsdam.py.
"""

_base_ = ["./unet_r50_potsdam.py"]

model = dict(backbone=dict(init_cfg=None))
checkpoint = "work_dirs/samrs/unet_r50_rsp_sep/iter_80000.pth"
default_hooks = dict(
    start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.conv_seg"], unused=["heads"])
)
