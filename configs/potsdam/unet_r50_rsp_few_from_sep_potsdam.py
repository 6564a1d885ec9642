"""UNet ResNet-50 on a few per cent of Potsdam from SEP after RSP (SAMRS paper, table 5, RSP+SEP).

    python tools/train.py configs/potsdam/unet_r50_rsp_few_from_sep_potsdam.py

That is one run, on 1 %; the whole table: unet_r50_few_potsdam.py.
Expected (paper, 5, 3, 1 %): mF1 81.69, 77.40, 68.35.  Not run by us.
"""

_base_ = ["./unet_r50_few_potsdam.py"]

model = dict(backbone=dict(init_cfg=None))
checkpoint = "work_dirs/samrs/unet_r50_rsp_sep/iter_80000.pth"
default_hooks = dict(
    start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.conv_seg"], unused=["heads"])
)
