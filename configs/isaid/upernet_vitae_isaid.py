"""UPerNet ViTAEv2-S on iSAID from ImageNet (SAMRS paper, table 4, IMP).

    python tools/convert_weights.py ViTAEv2-S.pth.tar data/weights/vitaev2_s_imagenet.pth
    tools/dist_train.sh configs/isaid/upernet_vitae_isaid.py 8

Expected (paper): mIoU 65.79.  Not run by us.
Crops, batch and deviations: as in upernet_swin_isaid.py.
"""

_base_ = [
    "../_base_/models/upernet_vitae.py",
    "../_base_/datasets/isaid.py",
    "../_base_/schedules/finetune_80k.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=16), test_cfg=dict(mode="slide", crop_size=(896, 896), stride=(598, 598)))
train_dataloader = dict(batch_size=1)
