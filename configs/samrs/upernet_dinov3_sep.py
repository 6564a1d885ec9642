"""SEP of UPerNet with DINOv3 ViT-B/16 of web images (ours; the paper's encoders begin from ImageNet).

    tools/dist_train.sh configs/samrs/upernet_dinov3_sep.py 8

Expected: no published figure; not run by us.  The recipe is that of upernet_vit_sep.py, the layer decay ours.  The
weights come from the hub at the first start, see configs/_base_/models/upernet_dinov3.py; crops of 224 are 14 x 14
patches.
"""

_base_ = [
    "../_base_/models/upernet_dinov3.py",
    "../_base_/datasets/samrs.py",
    "../_base_/schedules/sep_80k_vit.py",
    "../_base_/default_runtime.py",
]

model = dict(type="MultiHeadSegmentor", heads=dict(sota=18, sior=20, fast=37))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.9))
train_dataloader = dict(batch_size=12, num_workers=8)
