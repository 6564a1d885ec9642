"""UPerNet Swin-T on Potsdam from SEP (SAMRS paper, table 3, IMP+SEP): encoder and decoder transfer.

    tools/dist_train.sh configs/potsdam/upernet_swin_from_sep_potsdam.py 8

Other weights: ... --cfg-options default_hooks.start.checkpoint=FILE.  Published weights are converted first,
`python tools/convert_weights.py PUBLISHED.pth data/weights/upernet_swin_sep.pth`, and given in the same way.
Expected (paper): OA 91.88, mF1 92.23, inflated by its evaluation (docs/design.md).  Not run by us.
"""

_base_ = ["./upernet_swin_potsdam.py"]

model = dict(backbone=dict(init_cfg=None))
checkpoint = "work_dirs/samrs/upernet_swin_sep/iter_80000.pth"
default_hooks = dict(
    start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.conv_seg"], unused=["heads"])
)
