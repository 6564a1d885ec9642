"""Land cover of procedural scenes, fine-tuned from SEP: encoder and decoder transfer, the classifier is new.

    python tools/train.py configs/scenes/upernet_tiny_from_sep_scenes.py

Another checkpoint: --cfg-options default_hooks.start.checkpoint=PATH
"""

_base_ = ["./upernet_tiny_scenes.py"]

default_hooks = dict(
    start=dict(
        type="LoadPretrained",
        checkpoint="work_dirs/scenes/upernet_tiny_sep_scenes/iter_300.pth",
        new=["decode_head.conv_seg"],
        unused=["heads"],
    )
)
