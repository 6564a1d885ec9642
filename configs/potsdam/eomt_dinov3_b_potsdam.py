"""EoMT with DINOv3 ViT-B/16 on Potsdam, all of it tuned.

    tools/dist_train.sh configs/potsdam/eomt_dinov3_b_potsdam.py 8 --amp

Expected: no published figure; not run by us.  The recipe is EoMT's, see configs/_base_/schedules/eomt_80k.py.
The weights come from the hub at the first start, see configs/_base_/models/eomt_dinov3.py.
"""

_base_ = [
    "../_base_/models/eomt_dinov3.py",
    "../_base_/datasets/potsdam.py",
    "../_base_/schedules/eomt_80k.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=5), test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)))
train_dataloader = dict(batch_size=2)
default_hooks = dict(anneal_masks=dict(type="AnnealMasks"))
