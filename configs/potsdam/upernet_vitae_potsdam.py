"""UPerNet ViTAEv2-S on Potsdam from ImageNet (SAMRS paper, table 3, IMP).

    python tools/convert_weights.py ViTAEv2-S.pth.tar data/weights/vitaev2_s_imagenet.pth
    tools/dist_train.sh configs/potsdam/upernet_vitae_potsdam.py 8

Expected (paper): OA 91.00, mF1 90.52.  Not run by us.
Crops, batch and deviations: as in upernet_swin_potsdam.py.
"""

_base_ = [
    "../_base_/models/upernet_vitae.py",
    "../_base_/datasets/potsdam.py",
    "../_base_/schedules/finetune_80k.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=5), test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)))
train_dataloader = dict(batch_size=1)
