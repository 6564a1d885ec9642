"""UNet ResNet-50 on a few per cent of iSAID from RSP (SAMRS paper, table 6, RSP).

    python tools/convert_weights.py rsp-resnet-50-ckpt.pth data/weights/resnet50_rsp.pth
    python tools/train.py configs/isaid/unet_r50_rsp_few_isaid.py

That is one run, on 1 %; the whole table: unet_r50_few_isaid.py.
Expected (paper, 5, 3, 1 %): mIoU 4.68, 3.67, 2.50.  Not run by us.
"""

_base_ = ["./unet_r50_few_isaid.py"]

model = dict(backbone=dict(init_cfg=dict(checkpoint="data/weights/resnet50_rsp.pth")))
