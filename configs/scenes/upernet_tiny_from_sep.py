"""Land cover of procedural scenes, fine-tuned from SEP: encoder and decoder transfer, the classifier is new.

    python tools/train.py configs/scenes/upernet_tiny_from_sep.py

Another checkpoint: --cfg-options custom_hooks.2.checkpoint=PATH
"""

_base_ = ["./upernet_tiny.py"]

custom_hooks = [
    dict(type="SeedEachIter"),
    dict(type="ShareBuffers"),
    dict(
        type="LoadPretrained",
        checkpoint="work_dirs/scenes/upernet_tiny_sep/iter_300.pth",
        new=["decode_head.conv_seg"],
        unused=["heads"],
    ),
]
