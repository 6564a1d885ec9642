"""UPerNet InternImage-T on Potsdam from ImageNet (SAMRS paper, table 3, IMP).

    python tools/convert_weights.py internimage_t_1k_224.pth data/weights/internimage_t_imagenet.pth
    tools/dist_train.sh configs/potsdam/upernet_internimage_potsdam.py 8

Expected (paper): OA 91.65, mF1 91.18.  Not run by us.
Crops, batch and deviations: as in upernet_swin_potsdam.py.
"""

_base_ = [
    "../_base_/models/upernet_internimage.py",
    "../_base_/datasets/potsdam.py",
    "../_base_/schedules/finetune_80k_internimage.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=5), test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)))
train_dataloader = dict(batch_size=1)
