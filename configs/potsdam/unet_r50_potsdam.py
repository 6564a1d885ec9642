"""UNet ResNet-50 on Potsdam from ImageNet (SAMRS paper, table 3, IMP).

    tools/dist_train.sh configs/potsdam/unet_r50_potsdam.py 8

Expected (paper): OA 89.94, mF1 90.47, inflated by its evaluation (docs/design.md).  Not run by us.
Crops, batch and deviations: as in upernet_swin_potsdam.py.
"""

_base_ = [
    "../_base_/models/unet_r50.py",
    "../_base_/datasets/potsdam.py",
    "../_base_/schedules/finetune_80k_resnet.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=5), test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)))
train_dataloader = dict(batch_size=1)
