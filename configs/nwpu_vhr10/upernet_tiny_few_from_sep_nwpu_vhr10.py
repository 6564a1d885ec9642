"""A tiny UPerNet on a few per cent of NWPU VHR-10's hand-made masks, from SEP on labels made from boxes.

    python tools/train.py configs/nwpu_vhr10/upernet_tiny_few_from_sep_nwpu_vhr10.py

The grid's commands and figures: upernet_tiny_few_nwpu_vhr10.py.  SEP saw the boxes of all training images.
"""

_base_ = ["./upernet_tiny_few_nwpu_vhr10.py"]

checkpoint = "work_dirs/nwpu_vhr10/upernet_tiny_sep_nwpu_vhr10/iter_300.pth"
default_hooks = dict(
    start=dict(type="LoadPretrained", checkpoint=checkpoint, new=["decode_head.conv_seg"], unused=["heads"])
)
