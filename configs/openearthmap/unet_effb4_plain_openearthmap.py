"""U-Net with EfficientNet-B4 on OpenEarthMap without scSE, to compare with; unet_effb4_openearthmap.py is the paper's.

    python tools/train.py configs/openearthmap/unet_effb4_plain_openearthmap.py

Not run by us.
"""

_base_ = ["./unet_effb4_openearthmap.py"]

model = dict(decode_head=dict(attention=False))
