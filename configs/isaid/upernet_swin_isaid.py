"""UPerNet Swin-T on iSAID from ImageNet (SAMRS paper, table 4, IMP); background is class 0, trained but not scored.

    tools/dist_train.sh configs/isaid/upernet_swin_isaid.py 8
    tools/dist_test.sh configs/isaid/upernet_swin_isaid.py work_dirs/isaid/upernet_swin_isaid/iter_80000.pth 8 --tta

Crops of 896, one image per GPU on 8 GPUs, 80k iterations; on one GPU take train_dataloader.batch_size=8, since batch
norm needs more than one image.  Tests average over a flip (--tta), as the release does.
Expected (paper): mIoU 63.77.  Not run by us.
Deviation: learning rate per iteration instead of per epoch.
"""

_base_ = [
    "../_base_/models/upernet_swin.py",
    "../_base_/datasets/isaid.py",
    "../_base_/schedules/finetune_80k.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=16), test_cfg=dict(mode="slide", crop_size=(896, 896), stride=(598, 598)))
train_dataloader = dict(batch_size=1)
