"""UPerNet Swin-T on Potsdam from ImageNet (SAMRS paper, table 3, IMP).

    tools/dist_train.sh configs/potsdam/upernet_swin_potsdam.py 8
    tools/dist_test.sh configs/potsdam/upernet_swin_potsdam.py \
        work_dirs/potsdam/upernet_swin_potsdam/iter_80000.pth 8 --tta

Crops of 512, one image per GPU on 8 GPUs, 80k iterations; on one GPU take train_dataloader.batch_size=8, since batch
norm needs more than one image.  Tests average over a flip (--tta), as the release does; what its evaluation would make
of them: --cfg-options test_evaluator.samrs_compat=True.  Expected (paper): OA 91.44, mF1 90.88.  Not run by us.
Deviation: learning rate per iteration instead of per epoch.
"""

_base_ = [
    "../_base_/models/upernet_swin.py",
    "../_base_/datasets/potsdam.py",
    "../_base_/schedules/finetune_80k.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=5), test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)))
train_dataloader = dict(batch_size=1)
