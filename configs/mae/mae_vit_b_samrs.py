"""SAMRS-MAE: masked autoencoding of ViT-B on the images of SOTA, SIOR and FAST (SAMRS paper, appendix A.4).

    tools/dist_train.sh configs/mae/mae_vit_b_samrs.py 8 --amp
    python tools/convert_weights.py FILE data/weights/rvsa_b_samrs_mae.pth --backbone rvsa

The second command makes of the encoder the backbone ViT-B + RVSA (or, without --backbone, ViT-B) for
configs/samrs/upernet_rvsa_samrs_mae_sep.py.  FILE: work_dirs/mae/mae_vit_b_samrs/iter_238000.pth.
Needs the converted sets (configs/samrs/convert_{sota,sior,fast}.py); images are cropped while they are read.
Batch 512 per GPU on 8 GPUs, 1600 epochs.  Expected (paper, table 3, Potsdam, ViT-B + RVSA): OA 90.71, mF1 90.13.
Not run by us.

Deviations: the paper gives crops and their number, 609,707, but neither epochs, batch nor augmentation: these are the
MAE paper's; so is the input of 224, a random part of each crop.  bfloat16, where MAE used float16.
"""

_base_ = [
    "../_base_/models/mae_vit_b.py",
    "../_base_/datasets/mae_crops.py",
    "../_base_/schedules/mae.py",
    "../_base_/default_runtime_pretrain.py",
]

train_dataloader = dict(
    dataset=dict(
        folders=[
            dict(images="data/samrs/sota/images", names="data/samrs/sota/train.txt"),
            dict(images="data/dior/JPEGImages-trainval", names="data/samrs/sior/train.txt"),
            dict(images="data/samrs/fast/images", names="data/samrs/fast/train.txt"),
        ]
    )
)
default_hooks = dict(checkpoint=dict(interval=7450))  # 50 epochs
