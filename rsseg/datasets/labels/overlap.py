"""How much the masks of a tile lie over each other, found from their run lengths alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsseg.structures.runs import rle_to_runs

__all__ = ["Overlap", "mask_overlap"]

Ints = NDArray[np.int64]


class Overlap(NamedTuple):
    """Pixels of a tile: under one mask or more, under two or more, and under masks of two classes or more."""

    covered: int
    shared: int
    mixed: int


def _union(starts: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """Intervals that touch or overlap, joined."""
    order = np.argsort(starts, kind="stable")
    starts, reach = starts[order], np.maximum.accumulate(ends[order])
    opens = np.ones(len(starts), bool)
    opens[1:] = starts[1:] > reach[:-1]
    return starts[opens], reach[np.append(opens[1:], True)]


def _covered(starts: Ints, ends: Ints) -> tuple[int, int]:
    """Places inside one interval or more, and inside two or more."""
    place = np.concatenate([starts, ends])
    order = np.argsort(place, kind="stable")
    depth = np.cumsum(np.repeat([1, -1], len(starts))[order])[:-1]
    length = np.diff(place[order])
    return int(length[depth >= 1].sum()), int(length[depth >= 2].sum())


def mask_overlap(rles: Sequence[dict[str, Any]], labels: ArrayLike) -> Overlap:
    """How much N masks on one canvas overlap; costs what their run lengths cost, whatever the canvas.

    Args:
        rles: Their compressed COCO RLEs.
        labels: (N,) class ids.

    Raises:
        ValueError: An RLE is damaged.
    """
    if not rles:
        return Overlap(0, 0, 0)
    runs = [rle_to_runs(rle) for rle in rles]
    starts, ends = (np.concatenate(side) for side in zip(*runs, strict=True))
    classes = np.repeat(np.asarray(labels, np.int64), [len(first) for first, _ in runs])
    if not len(starts):
        return Overlap(0, 0, 0)
    unions = [_union(starts[classes == value], ends[classes == value]) for value in np.unique(classes)]
    _, mixed = _covered(np.concatenate([u[0] for u in unions]), np.concatenate([u[1] for u in unions]))
    return Overlap(*_covered(starts, ends), mixed)
