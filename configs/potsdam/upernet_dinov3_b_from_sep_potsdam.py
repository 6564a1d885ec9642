"""UPerNet with DINOv3 ViT-B/16 on Potsdam from SEP: encoder and decoder begin as pre-trained on SAMRS.

    tools/dist_train.sh configs/potsdam/upernet_dinov3_b_from_sep_potsdam.py 8

Expected: no published figure; not run by us.  Needs the checkpoint of configs/samrs/upernet_dinov3_sep.py.
"""

_base_ = "./upernet_dinov3_b_potsdam.py"

model = dict(backbone=dict(weights=None))
default_hooks = dict(
    start=dict(
        type="LoadPretrained",
        checkpoint="work_dirs/samrs/upernet_dinov3_sep/iter_80000.pth",
        new=["decode_head.conv_seg"],
        unused=["heads"],
    )
)
