"""U-Net with EfficientNet-B4 and scSE on LoveDA, to fine-tune from or to compare with (OpenEarthMap paper, section 5).

    python tools/train.py configs/loveda/unet_effb4_loveda.py

As configs/openearthmap/unet_effb4_openearthmap.py.  Expected (paper): figure 9, without numbers.  Not run by us.
Deviation: the encoder starts from ImageNet; "from scratch" may mean --cfg-options model.backbone.init_cfg=None.
"""

_base_ = [
    "../_base_/models/unet_effb4.py",
    "../_base_/datasets/loveda.py",
    "../_base_/schedules/landcover_80k_unet.py",
    "../_base_/default_runtime_mmpretrain.py",
]

model = dict(decode_head=dict(num_classes=7), test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)))
