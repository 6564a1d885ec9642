"""UNet ResNet-50 on a few per cent of iSAID from ImageNet (SAMRS paper, table 6, IMP).

    python tools/make_few_labels.py data/isaid/tiles/img_dir/train data/splits/isaid
    python tools/run_few_labels.py data/splits/isaid work_dirs/few/isaid --metric mIoU --tta --gpus 0 1 2 3
        --init IMP configs/isaid/unet_r50_few_isaid.py
        --init IMP+SEP configs/isaid/unet_r50_few_from_sep_isaid.py
        --init RSP configs/isaid/unet_r50_rsp_few_isaid.py
        --init RSP+SEP configs/isaid/unet_r50_rsp_few_from_sep_isaid.py

The second command runs the whole table: 5, 3 and 1 %, three seeds, one run on each GPU at a time.
Expected (paper, 5, 3, 1 %): mIoU 5.33, 5.19, 1.33, Not run by us.
Deviations: which tiles and how many iterations are ours; the paper says neither.
"""

_base_ = [
    "../_base_/models/unet_r50.py",
    "../_base_/datasets/isaid.py",
    "../_base_/schedules/few_4k_resnet.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=16), test_cfg=dict(mode="slide", crop_size=(896, 896), stride=(598, 598)))
train_dataloader = dict(dataset=dict(subset="data/splits/isaid/few_1_seed0.txt"))
