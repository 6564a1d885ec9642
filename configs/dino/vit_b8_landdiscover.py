"""DINO pre-training of GSNet's specialist, ViT-B/8 from scratch, on LandDiscover50K's images (GSNet paper, section 3).

    tools/dist_train.sh configs/dino/vit_b8_landdiscover.py 8 --amp
    python tools/convert_weights.py work_dirs/dino/vit_b8_landdiscover/iter_60600.pth data/weights/gsnet_dino.pth

The second command takes the teacher out, for configs/landdiscover/gsnet_vitb16.py.  Needs data/landdiscover/TR_Image
(tools/build_landdiscover.py); labels are not read.  For other images
--cfg-options train_dataloader.dataset.folders=[FOLDER].
Batch 32 per GPU on 8 GPUs, 300 epochs.  Cost: 1.86 TFLOP per image and epoch, 29 EFLOP in all.  Expected: no
figure of its own; GSNet's table 2 rests on it.  Not run by us.

Deviations: GSNet tells neither epochs nor batch; these and all else are the DINO paper's and its release's, but for a
batch of 256, not 1024.  The rate follows the batch; for 256 images the authors advise
default_hooks.self_distillation.momentum=[0.9995,1.0].  bfloat16, where they train patches of 8 in float32.
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
