"""UPerNet with DINOv3 ViT-B/16 on Potsdam, all of it tuned; with --cfg-options model.backbone.tune=frozen the decoder.

    tools/dist_train.sh configs/potsdam/upernet_dinov3_b_potsdam.py 8 --amp

Expected: no published figure; not run by us.  The recipe is that of the ViT of the SAMRS paper, the layer decay ours.
The weights come from the hub at the first start, see configs/_base_/models/upernet_dinov3.py.
"""

_base_ = [
    "../_base_/models/upernet_dinov3.py",
    "../_base_/datasets/potsdam.py",
    "../_base_/schedules/finetune_80k_vit.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=5), test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.9))
train_dataloader = dict(batch_size=1)
