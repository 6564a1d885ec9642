"""U-Net with EfficientNet-B4 on OpenEarthMap without scSE, to compare with; unet_effb4.py is the paper's.

    python tools/train.py configs/openearthmap/unet_effb4_plain.py

Not run by us.
"""

_base_ = ["./unet_effb4.py"]

model = dict(decode_head=dict(attention=False))
