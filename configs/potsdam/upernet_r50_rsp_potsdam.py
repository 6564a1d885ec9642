"""UPerNet ResNet-50 on Potsdam from RSP (SAMRS paper, table 3).

    python tools/convert_weights.py rsp-resnet-50-ckpt.pth data/weights/resnet50_rsp.pth
    tools/dist_train.sh configs/potsdam/upernet_r50_rsp_potsdam.py 8

Expected (paper): OA 90.18, mF1 90.73, inflated by its evaluation (docs/design.md).  Not run by us.
"""

_base_ = ["./upernet_r50_potsdam.py"]

model = dict(backbone=dict(init_cfg=dict(checkpoint="data/weights/resnet50_rsp.pth")))
