"""Land cover of procedural scenes from 12 labelled images, fine-tuned from the encoder of SEP.

    python tools/train.py configs/scenes/unet_efficientnet_lite0_from_sep_scenes.py

Another checkpoint: --cfg-options default_hooks.start.checkpoint=PATH
"""

_base_ = ["./unet_efficientnet_lite0_scenes.py"]

model = dict(backbone=dict(init_cfg=None))
default_hooks = dict(
    start=dict(
        type="LoadPretrained",
        checkpoint="work_dirs/scenes/unet_efficientnet_lite0_sep_scenes/iter_100.pth",
        new=["decode_head"],  # after so short a pre-training, validation says that its decoder does harm
        unused=["heads", "decode_head"],
    )
)
