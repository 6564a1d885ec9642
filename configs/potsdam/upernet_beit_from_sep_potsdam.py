"""UPerNet BEiT-B on Potsdam from SEP (SAMRS paper, table 3, BEiT+SEP).

    tools/dist_train.sh configs/potsdam/upernet_beit_from_sep_potsdam.py 8

Expected (paper): OA 88.20, mF1 88.76, inflated by its evaluation (docs/design.md).  Not run by us.
Other weights: as in upernet_swin_from_sep_potsdam.py.  The release's model here is a plain ViT: its file is for
upernet_vit_from_sep_potsdam.py.
"""

_base_ = ["./upernet_beit_potsdam.py"]

model = dict(backbone=dict(init_cfg=None))
checkpoint = "work_dirs/samrs/upernet_beit_sep/iter_80000.pth"
default_hooks = dict(
    start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.conv_seg"], unused=["heads"])
)
