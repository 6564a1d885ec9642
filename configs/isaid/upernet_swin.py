"""UPerNet Swin-T on iSAID from ImageNet weights (the paper's IMP row, table 4); background is class 0.

    tools/dist_train.sh configs/isaid/upernet_swin.py 8

Crops of 896, one image per GPU on 8 GPUs, 80k iterations; on one GPU take
train_dataloader.batch_size=8, since batch norm needs more than one image.  Not run by us.
Deviations: learning rate per iteration instead of per epoch; mIoU is over all 16 classes, the paper leaves
background out.
"""

_base_ = [
    "../_base_/models/upernet_swin.py",
    "../_base_/datasets/isaid.py",
    "../_base_/schedules/finetune_80k.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=16), test_cfg=dict(mode="slide", crop_size=(896, 896), stride=(597, 597)))
train_dataloader = dict(batch_size=1)
