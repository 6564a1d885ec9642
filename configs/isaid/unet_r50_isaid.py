"""UNet ResNet-50 on iSAID from ImageNet (SAMRS paper, table 4, IMP).

    tools/dist_train.sh configs/isaid/unet_r50_isaid.py 8

Expected (paper): mIoU 35.80.  Not run by us.
Crops, batch and deviations: as in upernet_swin_isaid.py.
"""

_base_ = [
    "../_base_/models/unet_r50.py",
    "../_base_/datasets/isaid.py",
    "../_base_/schedules/finetune_80k_resnet.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=16), test_cfg=dict(mode="slide", crop_size=(896, 896), stride=(598, 598)))
train_dataloader = dict(batch_size=1)
