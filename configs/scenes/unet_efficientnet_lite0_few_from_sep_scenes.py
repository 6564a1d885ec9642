"""Few labels: land cover of procedural scenes from 4 labelled images, fine-tuned from SEP's encoder on a CPU.

    python tools/train.py configs/scenes/unet_efficientnet_lite0_few_from_sep_scenes.py

Another checkpoint: --cfg-options default_hooks.start.checkpoint=PATH
"""

_base_ = ["./unet_efficientnet_lite0_scenes.py"]

model = dict(backbone=dict(init_cfg=None))
train_dataloader = dict(dataset=dict(indices=4))
default_hooks = dict(
    start=dict(
        type="LoadPretrained",
        checkpoint="work_dirs/scenes/unet_efficientnet_lite0_sep_scenes/iter_100.pth",
        new=["decode_head"],  # after so short a pre-training, validation says that its decoder does harm
        unused=["heads", "decode_head"],
    )
)
