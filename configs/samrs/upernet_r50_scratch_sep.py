"""SEP of UPerNet ResNet-50 from random initial weights (SAMRS paper, table 9, SEP).

    tools/dist_train.sh configs/samrs/upernet_r50_scratch_sep.py 8

Expected (paper): mIoU 64.79 / 82.74 / 39.32 on the validation sets.  Not run by us.
"""

_base_ = ["./upernet_r50_sep.py"]

model = dict(backbone=dict(init_cfg=None))
