"""SEP of UNet ResNet-50 from random initial weights (SAMRS paper, table 9, SEP).

    tools/dist_train.sh configs/samrs/unet_r50_scratch_sep.py 8

Expected (paper): mIoU 55.88 / 71.44 / 35.35 on the validation sets.  Not run by us.
"""

_base_ = ["./unet_r50_sep.py"]

model = dict(backbone=dict(init_cfg=None))
