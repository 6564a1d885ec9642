"""UPerNet Swin-T on Potsdam, fine-tuned from SEP (the paper's IMP+SEP row, table 3): encoder and decoder transfer.

    tools/dist_train.sh configs/potsdam/upernet_swin_from_sep.py 8
    ... --cfg-options custom_hooks.2.checkpoint=YOUR_SEP_CHECKPOINT.pth

Expected (paper): OA 91.88, mF1 92.23, inflated by its evaluation (docs/design.md).  Not run by us.
"""

_base_ = ["./upernet_swin.py"]

model = dict(backbone=dict(init_cfg=None))
custom_hooks = [
    dict(type="SeedEachIter"),
    dict(type="ShareBuffers"),
    dict(
        type="LoadPretrained",
        checkpoint="work_dirs/samrs/upernet_swin_sep/iter_80000.pth",
        new=["decode_head.conv_seg"],
        unused=["heads"],
    ),
]
