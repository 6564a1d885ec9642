"""UNet ResNet-50 on a few per cent of Potsdam from RSP (SAMRS paper, table 5, RSP).

    python tools/convert_weights.py rsp-resnet-50-ckpt.pth data/weights/resnet50_rsp.pth
    python tools/train.py configs/potsdam/unet_r50_rsp_few_potsdam.py

That is one run, on 1 %; the whole table: unet_r50_few_potsdam.py.
Expected (paper, 5, 3, 1 %): mF1 80.34, 75.35, 62.86.  Not run by us.
"""

_base_ = ["./unet_r50_few_potsdam.py"]

model = dict(backbone=dict(init_cfg=dict(checkpoint="data/weights/resnet50_rsp.pth")))
