"""UNet ResNet-50 on Potsdam from RSP (SAMRS paper, table 3).

    python tools/convert_weights.py rsp-resnet-50-ckpt.pth data/weights/resnet50_rsp.pth
    tools/dist_train.sh configs/potsdam/unet_r50_rsp_potsdam.py 8

Expected (paper): OA 90.49, mF1 90.97, inflated by its evaluation (docs/design.md).  Not run by us.
"""

_base_ = ["./unet_r50_potsdam.py"]

model = dict(backbone=dict(init_cfg=dict(checkpoint="data/weights/resnet50_rsp.pth")))
