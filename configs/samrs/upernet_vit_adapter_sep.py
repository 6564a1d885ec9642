"""SEP of UPerNet ViT-Adapter-B from ImageNet (SAMRS paper, table 9, IMP+SEP).

    python tools/convert_weights.py FILE data/weights/vit_adapter_b_imagenet.pth --backbone vit_adapter
    tools/dist_train.sh configs/samrs/upernet_vit_adapter_sep.py 8

Expected (paper): mIoU 80.41 / 93.76 / 51.13 on the validation sets.  Not run by us.
Batch, crops and deviations: as in upernet_swin_sep.py.
FILE: deit_base_patch16_224-b5f2ef4d.pth.
"""

_base_ = [
    "../_base_/models/upernet_vit_adapter.py",
    "../_base_/datasets/samrs.py",
    "../_base_/schedules/sep_80k_adapter.py",
    "../_base_/default_runtime.py",
]

model = dict(type="MultiHeadSegmentor", heads=dict(sota=18, sior=20, fast=37))
train_dataloader = dict(batch_size=12, num_workers=8)
