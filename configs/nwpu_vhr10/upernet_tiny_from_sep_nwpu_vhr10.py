"""NWPU VHR-10 masks with few labelled images, fine-tuned from SEP.

    python tools/train.py configs/nwpu_vhr10/upernet_tiny_from_sep_nwpu_vhr10.py

Measured on the 166 validation images: mIoU 10.82, mF1 13.21, OA 89.38.
"""

_base_ = ["./upernet_tiny_nwpu_vhr10.py"]

default_hooks = dict(
    start=dict(
        type="LoadPretrained",
        checkpoint="work_dirs/nwpu_vhr10/upernet_tiny_sep_nwpu_vhr10/iter_300.pth",
        new=["decode_head.conv_seg"],
        unused=["heads"],
    )
)
