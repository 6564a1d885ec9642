"""U-Net with VGG-11 (no normalisation) as encoder, two convolutions between encoder and decoder."""

_base_ = ["./_unet.py"]

weights = "https://download.openmmlab.com/mmclassification/v0/vgg/vgg11_batch256_imagenet_20210208-4271cd6c.pth"
model = dict(
    backbone=dict(type="UNetVGG", depth=11, init_cfg=dict(type="Pretrained", checkpoint=weights, prefix="backbone.")),
    decode_head=dict(in_channels=[128, 256, 512, 512, 512], centre=True),
)
