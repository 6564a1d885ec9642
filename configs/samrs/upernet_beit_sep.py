"""SEP of UPerNet BEiT-B from BEiT (SAMRS paper, table 9, BEiT+SEP).

    python tools/convert_weights.py beit_base_patch16_224_pt22k_ft22k.pth data/weights/beit_b.pth
    tools/dist_train.sh configs/samrs/upernet_beit_sep.py 8

Expected (paper): mIoU 74.10 / 85.81 / 42.04 on the validation sets.  Not run by us.
Batch, crops and deviations: as in upernet_swin_sep.py; all of BEiT's weights are loaded, as in
configs/potsdam/upernet_beit_potsdam.py.
"""

_base_ = [
    "../_base_/models/upernet_beit.py",
    "../_base_/datasets/samrs.py",
    "../_base_/schedules/sep_80k_vit.py",
    "../_base_/default_runtime.py",
]

model = dict(type="MultiHeadSegmentor", heads=dict(sota=18, sior=20, fast=37))
train_dataloader = dict(batch_size=12, num_workers=8)
