"""SEP of UPerNet ResNet-50 from RSP (SAMRS paper, table 9, RSP+SEP).

    python tools/convert_weights.py rsp-resnet-50-ckpt.pth data/weights/resnet50_rsp.pth
    tools/dist_train.sh configs/samrs/upernet_r50_rsp_sep.py 8

Expected (paper): mIoU 76.03 / 90.66 / 47.62 on the validation sets.  Not run by us.
"""

_base_ = ["./upernet_r50_sep.py"]

model = dict(backbone=dict(init_cfg=dict(checkpoint="data/weights/resnet50_rsp.pth")))
