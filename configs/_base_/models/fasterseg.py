"""FasterSeg's derived network, from scratch; its architecture is that of the authors' student for Cityscapes.

Operators and paths are as published; the widths are such that parameters and multiply-adds are the release's, which
leaves a choice.  Two branches, to 1/32 and to 1/16.
"""

_base_ = ["./_unet.py"]

_w = [4 / 12, 6 / 12, 8 / 12, 10 / 12, 1.0]
_to_32 = dict(
    last=2,
    path=[0, 0, 0, 0, 1, 1, 1, 1, 2, 2],
    ops=[3, 3, 4, 2, 4, 4, 4, 4, 4, 4],
    widths=[_w[0], _w[0], _w[0], _w[2], _w[0], _w[0], _w[0], _w[0], _w[0]],
)
_to_16 = dict(
    last=1,
    path=[0, 0, 0, 0, 0, 0, 1, 1, 1],
    ops=[3, 3, 4, 4, 3, 3, 4, 4, 4],
    widths=[_w[0], _w[0], _w[0], _w[0], _w[0], _w[0], _w[0], _w[4]],
)
model = dict(
    type="FasterSeg",
    architecture=dict(method="FasterSeg", branches=[_to_32, _to_16]),
    backbone=dict(type="FasterSegBackbone"),
    decode_head=dict(_delete_=True, type="FasterSegHead"),
)
