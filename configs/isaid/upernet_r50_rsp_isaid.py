"""UPerNet ResNet-50 on iSAID from RSP (SAMRS paper, table 4).

    python tools/convert_weights.py rsp-resnet-50-ckpt.pth data/weights/resnet50_rsp.pth
    tools/dist_train.sh configs/isaid/upernet_r50_rsp_isaid.py 8

Expected (paper): mIoU 32.97.  Not run by us.
"""

_base_ = ["./upernet_r50_isaid.py"]

model = dict(backbone=dict(init_cfg=dict(checkpoint="data/weights/resnet50_rsp.pth")))
