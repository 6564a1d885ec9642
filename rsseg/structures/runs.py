"""Compressed run lengths, at the cost of the object and with every length checked.

pycocotools neither checks that the runs fill the canvas (a short text gives whatever the memory held) nor can decode
less than the whole canvas.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.errors import DataError

__all__ = ["rle_to_runs", "runs_bbox"]

Ints = NDArray[np.int64]

_BITS, _MORE, _SIGN = 5, 0x20, 0x10
_LONGEST = 7
"""Characters a number may take: 35 bits hold every length on a canvas of up to 100 000 x 100 000."""


def rle_to_runs(rle: dict[str, Any]) -> tuple[Ints, Ints]:
    """Runs of set pixels of a compressed COCO RLE.

    Args:
        rle: ``{"size": [H, W], "counts": str}``.

    Returns:
        (R,) int64 first pixels and (R,) int64 pixels after the last, counted down the columns; no run is empty.

    Raises:
        DataError: The text is damaged or does not fill the canvas.

    Source: COCO API, rleFrString.
    """
    height, width = rle["size"]
    codes = np.frombuffer(rle["counts"].encode("ascii", "replace"), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(codes & _MORE == 0)
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or not len(ends) or ends[-1] != len(codes) - 1:
        raise DataError("run lengths are damaged: a character that is none of theirs, or an incomplete number")
    starts = np.append(0, ends[:-1] + 1)
    if (ends - starts).max() >= _LONGEST:
        raise DataError("run lengths are damaged: a number is too long")
    shift = _BITS * (np.arange(len(codes)) - np.repeat(starts, ends - starts + 1))
    counts = np.add.reduceat((codes & (_MORE - 1)) << shift, starts)
    counts -= np.where(codes[ends] & _SIGN, np.int64(1) << (shift[ends] + _BITS), 0)
    # From the fourth on, a count is stored as its difference to the last but one.
    counts[1::2], counts[2::2] = np.cumsum(counts[1::2]), np.cumsum(counts[2::2])
    edges = np.cumsum(counts)
    if counts.min() < 0 or edges[-1] != height * width:
        raise DataError(f"run lengths add up to {edges[-1]}, the canvas {height} x {width} has {height * width} pixels")
    after = edges[1::2]
    first = edges[::2][: len(after)]
    return first[after > first], after[after > first]


def runs_bbox(first: Ints, after: Ints, height: int) -> tuple[int, int, int, int]:
    """Tight x1 y1 x2 y2 of runs as :func:`rle_to_runs` gives them, on a canvas ``height`` pixels high; else zeros."""
    if not len(first):
        return 0, 0, 0, 0
    left, right = int(first[0] // height), int((after[-1] - 1) // height) + 1
    if (first // height != (after - 1) // height).any():  # a run that goes on in the next column reaches both borders
        return left, 0, right, height
    return left, int((first % height).min()), right, int(((after - 1) % height).max()) + 1
