"""UNet ResNet-50 on a few per cent of iSAID from SEP (SAMRS paper, table 6, IMP+SEP).

    python tools/train.py configs/isaid/unet_r50_few_from_sep_isaid.py

That is one run, on 1 %; the whole table: unet_r50_few_isaid.py.
Expected (paper, 5, 3, 1 %): mIoU 18.74, 12.98, 7.04.  Not run by us.
"""

_base_ = ["./unet_r50_few_isaid.py"]

model = dict(backbone=dict(init_cfg=None))
checkpoint = "work_dirs/samrs/unet_r50_sep/iter_80000.pth"
default_hooks = dict(
    start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.conv_seg"], unused=["heads"])
)
