"""How much the masks of a tile lie over each other, found from their run lengths alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Overlap", "mask_overlap", "mask_runs"]

Ints = NDArray[np.int64]

_SHIFT, _MORE, _SIGN = 5, 32, 16


class Overlap(NamedTuple):
    """Pixels of a tile: under one mask or more, under two or more, and under masks of two classes or more."""

    covered: int
    shared: int
    mixed: int


def mask_runs(counts: Sequence[str]) -> tuple[Ints, Ints, Ints]:
    """Where the runs of set pixels of several masks begin and end.

    Args:
        counts: The ``counts`` text of N compressed COCO RLEs on one canvas.

    Returns:
        Three (R,) arrays: first pixel, pixel after the last one (both in column-major order), and the mask 0..N-1.

    Source: COCO API, rleFrString (5 bits a character; from the fourth number on, differences to the last but one).
    """
    data = np.frombuffer("".join(counts).encode("ascii"), np.uint8).astype(np.int64) - 48
    if not len(data):
        return (np.zeros(0, np.int64),) * 3
    last = np.flatnonzero((data & _MORE) == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    place = np.arange(len(data)) - np.repeat(first, last - first + 1)
    numbers = np.add.reduceat((data & (_MORE - 1)) << (_SHIFT * place), first)
    numbers -= np.where(data[last] & _SIGN, np.int64(1) << (_SHIFT * (place[last] + 1)), 0)
    bounds = np.searchsorted(last, np.cumsum([len(text) for text in counts]))
    starts, ends, owners = [], [], []
    for i, runs in enumerate(np.split(numbers, bounds[:-1])):
        runs[1::2] = np.cumsum(runs[1::2])
        runs[2::2] = np.cumsum(runs[2::2])
        edges = np.cumsum(runs)
        ends.append(edges[1::2])
        starts.append(edges[0::2][: len(ends[-1])])
        owners.append(np.full(len(ends[-1]), i))
    return np.concatenate(starts), np.concatenate(ends), np.concatenate(owners)


def _union(starts: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """Intervals that touch or overlap, joined."""
    order = np.argsort(starts, kind="stable")
    starts, reach = starts[order], np.maximum.accumulate(ends[order])
    opens = np.ones(len(starts), bool)
    opens[1:] = starts[1:] > reach[:-1]
    return starts[opens], reach[np.append(opens[1:], True)] if len(starts) else reach


def _covered(starts: Ints, ends: Ints) -> tuple[int, int]:
    """Places inside one interval or more, and inside two or more."""
    place = np.concatenate([starts, ends])
    order = np.argsort(place, kind="stable")
    depth = np.cumsum(np.repeat([1, -1], len(starts))[order])[:-1]
    length = np.diff(place[order])
    return int(length[depth >= 1].sum()), int(length[depth >= 2].sum())


def mask_overlap(counts: Sequence[str], labels: ArrayLike) -> Overlap:
    """How much N masks on one canvas overlap; costs what their run lengths cost, whatever the canvas.

    Args:
        counts: The ``counts`` text of their compressed COCO RLEs.
        labels: (N,) class ids.
    """
    starts, ends, owners = mask_runs(counts)
    if not len(starts):
        return Overlap(0, 0, 0)
    classes = np.asarray(labels, np.int64)[owners]
    unions = [_union(starts[classes == value], ends[classes == value]) for value in np.unique(classes)]
    _, mixed = _covered(np.concatenate([u[0] for u in unions]), np.concatenate([u[1] for u in unions]))
    return Overlap(*_covered(starts, ends), mixed)
