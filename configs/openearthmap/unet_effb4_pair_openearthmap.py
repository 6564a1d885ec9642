"""U-Net with EfficientNet-B4, trained on one continent, tested on another (paper, figure 8).

    python tools/train.py configs/openearthmap/unet_effb4_pair_openearthmap.py

The environment names them, for example SOURCE=AS TARGET=OC; AF, AS, EU, NA, OC, SA, by default EU
to NA. Expected: the figure has no numbers; SegFormer beats U-Net in 26 of 30 pairs.  Not run by us.
"""

_base_ = [
    "../_base_/models/unet_effb4.py",
    "../_base_/datasets/openearthmap_continents.py",
    "../_base_/schedules/landcover_80k_unet.py",
    "../_base_/default_runtime_mmpretrain.py",
]

model = dict(decode_head=dict(num_classes=8))
lists = "data/splits/openearthmap/continents"
train_dataloader = dict(dataset=dict(subset=f"{lists}/{{$SOURCE:EU}}_train.txt"))
val_dataloader = dict(dataset=dict(subset=f"{lists}/{{$TARGET:NA}}_val.txt"))
test_dataloader = val_dataloader
work_dir = "work_dirs/openearthmap/unet_effb4_{{$SOURCE:EU}}_{{$TARGET:NA}}"
