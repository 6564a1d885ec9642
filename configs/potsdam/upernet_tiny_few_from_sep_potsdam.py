"""A tiny UPerNet on a few per cent of Potsdam, cut into small tiles, from SEP: the few-label grid on a CPU.

    python tools/train.py configs/potsdam/upernet_tiny_few_from_sep_potsdam.py

The grid's commands and figures: upernet_tiny_few_potsdam.py; the pre-training:
configs/nwpu_vhr10/upernet_tiny_sep_nwpu_vhr10.py.
"""

_base_ = ["./upernet_tiny_few_potsdam.py"]

checkpoint = "work_dirs/nwpu_vhr10/upernet_tiny_sep_nwpu_vhr10/iter_300.pth"
default_hooks = dict(
    start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.conv_seg"], unused=["heads"])
)
