"""SEP of UNet ResNet-50 from RSP (SAMRS paper, table 9, RSP+SEP).

    python tools/convert_weights.py rsp-resnet-50-ckpt.pth data/weights/resnet50_rsp.pth
    tools/dist_train.sh configs/samrs/unet_r50_rsp_sep.py 8

Expected (paper): mIoU 62.43 / 85.37 / 38.41 on the validation sets.  Not run by us.
"""

_base_ = ["./unet_r50_sep.py"]

model = dict(backbone=dict(init_cfg=dict(checkpoint="data/weights/resnet50_rsp.pth")))
