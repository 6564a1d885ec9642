"""U-Net with EfficientNet-B4 and scSE on DeepGlobe, to fine-tune from and to compare with (OpenEarthMap, section 5).

    python tools/train.py configs/deepglobe/unet_effb4_deepglobe.py

As configs/openearthmap/unet_effb4_openearthmap.py.  Expected (paper): figure 9, without numbers.  Not run by us.
Deviation: the encoder starts from ImageNet; "from scratch" may mean --cfg-options model.backbone.init_cfg=None.
"""

_base_ = [
    "../_base_/models/unet_effb4.py",
    "../_base_/datasets/deepglobe.py",
    "../_base_/schedules/landcover_80k_unet.py",
    "../_base_/default_runtime_mmpretrain.py",
]

model = dict(decode_head=dict(num_classes=6), test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)))
