"""UPerNet ViT-Adapter-B on iSAID from ImageNet (no row of the SAMRS paper).

    python tools/convert_weights.py FILE data/weights/vit_adapter_b_imagenet.pth --backbone vit_adapter
    tools/dist_train.sh configs/isaid/upernet_vit_adapter_isaid.py 8

Not run by us.
Crops, batch and deviations: as in upernet_swin_isaid.py.
FILE: deit_base_patch16_224-b5f2ef4d.pth.
"""

_base_ = [
    "../_base_/models/upernet_vit_adapter.py",
    "../_base_/datasets/isaid.py",
    "../_base_/schedules/finetune_80k_adapter.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=16), test_cfg=dict(mode="slide", crop_size=(896, 896), stride=(598, 598)))
train_dataloader = dict(batch_size=1)
