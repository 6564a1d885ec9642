"""DINO pre-training of GSNet's specialist, ViT-B/8 from scratch, on LandDiscover50K's images (GSNet paper, section 3).

    tools/dist_train.sh configs/dino/vit_b8_landdiscover.py 8 --amp

Needs data/landdiscover (tools/build_landdiscover.py); labels are not read.  For other images
--cfg-options train_dataloader.dataset.folders=[FOLDER].
Batch 32 per GPU on 8 GPUs, 300 epochs.  Expected: the specialist that configs/landdiscover/gsnet_vitb16.py starts from.
Not run by us.

Deviations: GSNet tells neither epochs nor batch, so they and all else are the DINO paper's and its release's, with a
batch of 256, not 1024: the rate follows it, and the authors advise
default_hooks.self_distillation.momentum=[0.9995,1.0] for it.  bfloat16, where they train patches of 8 in float32.
"""

_base_ = [
    "../_base_/models/dino_vit_b8.py",
    "../_base_/datasets/dino_crops.py",
    "../_base_/schedules/dino.py",
    "../_base_/default_runtime_pretrain.py",
]

train_dataloader = dict(dataset=dict(folders=["data/landdiscover/TR_Image"]))
default_hooks = dict(
    self_distillation={{_base_.self_distillation}},
    checkpoint=dict(interval=2020),  # 10 epochs
)
