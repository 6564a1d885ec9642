"""UNet ResNet-50 on a few per cent of iSAID from SEP after RSP (SAMRS paper, table 6, RSP+SEP).

    python tools/train.py configs/isaid/unet_r50_rsp_few_from_sep_isaid.py

That is one run, on 1 %; the whole table: unet_r50_few_isaid.py.
Expected (paper, 5, 3, 1 %): mIoU 22.47, 13.88, 8.84.  Not run by us.
"""

_base_ = ["./unet_r50_few_isaid.py"]

model = dict(backbone=dict(init_cfg=None))
checkpoint = "work_dirs/samrs/unet_r50_rsp_sep/iter_80000.pth"
default_hooks = dict(
    start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.conv_seg"], unused=["heads"])
)
