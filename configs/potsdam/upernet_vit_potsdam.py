"""UPerNet ViT-B on Potsdam from ImageNet (SAMRS paper, table 3, IMP).

    python tools/convert_weights.py FILE data/weights/vit_b_imagenet.pth
    tools/dist_train.sh configs/potsdam/upernet_vit_potsdam.py 8

Expected (paper): OA 91.47, mF1 90.88.  Not run by us.
Crops, batch and deviations: as in upernet_swin_potsdam.py.
FILE: deit_base_patch16_224-b5f2ef4d.pth.  Deviation: positions stay those of 224 and are resized in each pass; the
release resizes them once, before fine-tuning.
"""

_base_ = [
    "../_base_/models/upernet_vit.py",
    "../_base_/datasets/potsdam.py",
    "../_base_/schedules/finetune_80k_vit.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=5), test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)))
train_dataloader = dict(batch_size=1)
