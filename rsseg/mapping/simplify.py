"""Fewer points on the outlines of a class map, the same for both neighbours, without anything crossing.

Outlines run along the corners of pixels.  Where three or more regions meet is a node; between nodes run arcs, which two
regions share.  Whether a corner stays is a property of the corner, so neighbours keep the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Corners", "corners_of", "kept_corners"]

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

_EPSILON = 1e-6


@dataclass(frozen=True)
class Corners:
    """Corners of pixels in a band of rows.

    Attributes:
        turns: (rows + 1, W + 1) where an outline turns, or regions meet.
        nodes: (rows + 1, W + 1) corners of those that always stay.
    """

    turns: Flags
    nodes: Flags


def corners_of(band: NDArray[np.int16], seams: tuple[bool, bool]) -> Corners:
    """Corners of a band of labels.

    Args:
        band: (rows + 2, W + 2) labels, with the rows above and below, and -1 outside of the map.
        seams: Whether the map goes on above and below: there, whatever meets the seam is a node.
    """
    above, below, left, right = (
        band[:-1, :-1] != band[:-1, 1:],
        band[1:, :-1] != band[1:, 1:],
        band[:-1, :-1] != band[1:, :-1],
        band[:-1, 1:] != band[1:, 1:],
    )
    lines = above.astype(np.uint8) + below + left + right
    nodes = lines > 2
    for row, seam in zip((0, -1), seams, strict=True):
        if seam:
            nodes[row] = lines[row] > 1
        nodes[row, [0, -1]] |= not seam  # the corners of the map
    return Corners(nodes | ((lines == 2) & (above != below)), nodes)


def kept_corners(corners: Corners, points: Ints, lengths: Ints, tolerance: float) -> Flags:
    """Corners that outlines keep (Douglas and Peucker between nodes).

    Corners between two kept ones are left out if they lie within the tolerance of the line between those, and if no
    other turn of any outline lies in the smallest box along that line that holds them.  Two such lines cannot cross:
    each of the two convex boxes would have to hold a corner of the other's outline.  Of an arc that is not straight a
    corner stays, of a closed one two, so that nothing collapses.

    Args:
        corners: Of the band.
        points: (M, 2) x y of the turns along all rings, ring after ring, not closed; y from the band's first row.
        lengths: Points of each ring.
        tolerance: Largest distance in pixels of a left-out corner from the line that replaces it.

    Returns:
        (rows + 1, W + 1) which turns stay.
    """
    kept, index = corners.nodes.copy(), points[:, 1] * corners.nodes.shape[1] + points[:, 0]
    flat = kept.ravel()
    starts = np.cumsum(lengths) - lengths
    lonely = ~np.logical_or.reduceat(flat[index], starts)
    flat[np.minimum.reduceat(index, starts)[lonely]] = True  # a ring without nodes begins at its first corner
    line, first, last = _arcs(points, index, flat, starts, lengths)
    counts = [np.cumsum(np.pad(corners.turns, pad), axis=axis, dtype=np.int32)
              for axis, pad in enumerate((((1, 0), (0, 0)), ((0, 0), (1, 0))))]  # fmt: skip
    forced = np.where((line[first] == line[last]).all(axis=1), 2, 1)
    while len(first):
        far, off = _distances(line, first, last)
        begin = np.cumsum(last - first - 1) - (last - first - 1)
        most = np.maximum.reduceat(far, begin)
        done = (most <= tolerance) & (forced <= 0)
        done[done] = _alone(line, first[done], last[done], _ranges(off, begin)[done], counts)
        split = ~done & (most > _EPSILON)
        worst = _first_largest(far, begin, most)[split] - begin[split] + first[split] + 1
        kept[line[worst, 1], line[worst, 0]] = True
        forced = np.tile(forced[split] - 1, 2)
        first, last = np.concatenate([first[split], worst]), np.concatenate([worst, last[split]])
        inner = last - first > 1
        first, last, forced = first[inner], last[inner], forced[inner]
    return kept


def _arcs(points: Ints, index: Ints, flat: Flags, starts: Ints, lengths: Ints) -> tuple[Ints, Ints, Ints]:
    """Rings that begin at a node and are closed, and first and last point of each arc with points between, once."""
    at = np.flatnonzero(flat[index])
    shift = at[np.searchsorted(at, starts)] - starts
    ends = np.cumsum(lengths + 1)
    place = np.arange(ends[-1]) - np.repeat(ends - lengths - 1, lengths + 1)
    order = np.repeat(starts, lengths + 1) + (place + np.repeat(shift, lengths + 1)) % np.repeat(lengths, lengths + 1)
    index = index[order]
    stops = np.flatnonzero(flat[index])
    first, last = stops[:-1], stops[1:]
    inner = last - first > 1  # not from one ring's end to the next one's begin either
    first, last = first[inner], last[inner]
    one = np.unique(np.minimum(index[first + 1], index[last - 1]), return_index=True)[1]
    return points[order], first[one], last[one]


def _between(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """For segments of a line their numbers and the points between their ends."""
    count = last - first - 1
    number = np.repeat(np.arange(len(first)), count)
    return number, np.arange(len(number)) - np.repeat(np.cumsum(count) - count, count) + first[number] + 1


def _distances(line: Ints, first: Ints, last: Ints) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance of the points between the ends from the segment, and signed from its line."""
    number, place = _between(first, last)
    run = (line[last] - line[first])[number]
    to = line[place] - line[first][number]
    length = np.hypot(*run.T)
    with np.errstate(invalid="ignore", divide="ignore"):
        off = (run[:, 0] * to[:, 1] - run[:, 1] * to[:, 0]) / length
        along = (run * to).sum(axis=1) / length
        beyond = np.maximum(np.maximum(-along, along - length), 0)
    return np.where(length > 0, np.hypot(off, beyond), np.hypot(*to.T)), off


def _ranges(off: NDArray[np.float64], begin: Ints) -> NDArray[np.float64]:
    low, high = np.minimum.reduceat(off, begin), np.maximum.reduceat(off, begin)
    return np.stack([np.minimum(low, 0), np.maximum(high, 0)], axis=1)


def _first_largest(far: NDArray[np.float64], begin: Ints, most: NDArray[np.float64]) -> Ints:
    counts = np.diff(np.append(begin, len(far)))
    places = np.where(far == np.repeat(most, counts), np.arange(len(far)), len(far))
    return np.minimum.reduceat(places, begin)


def _alone(line: Ints, first: Ints, last: Ints, off: NDArray[np.float64], counts: list[NDArray[np.int32]]) -> Flags:
    """Whether no turn but a segment's own lies between the parallels to it, within the bounds of its own points."""
    out = np.ones(len(first), bool)
    run = line[last] - line[first]
    wide = np.abs(run[:, 0]) >= np.abs(run[:, 1])
    for axis in (0, 1):  # the one along which the segment is longer
        mine = np.flatnonzero(wide == (axis == 0))
        if not len(mine):
            continue
        low, high = _bounds(line, first[mine], last[mine])
        steps = high[:, axis] - low[:, axis] + 1
        number = np.repeat(np.arange(len(mine)), steps)
        along = np.arange(len(number)) - np.repeat(np.cumsum(steps) - steps, steps) + low[number, axis]
        start, by = line[first[mine]][number], run[mine][number]
        middle = start[:, 1 - axis] + (along - start[:, axis]) * by[:, 1 - axis] / by[:, axis]
        sides = off[mine][number] * (np.hypot(*by.T) / by[:, axis] * (1, -1)[axis])[:, None] + middle[:, None]
        bottom = np.maximum(np.ceil(sides.min(axis=1) - _EPSILON), low[number, 1 - axis]).astype(np.int64)
        top = np.minimum(np.floor(sides.max(axis=1) + _EPSILON), high[number, 1 - axis]).astype(np.int64) + 1
        top = np.maximum(top, bottom)
        table = counts[axis]
        found = table[top, along] - table[bottom, along] if axis == 0 else table[along, top] - table[along, bottom]
        out[mine] = np.add.reduceat(found, np.cumsum(steps) - steps) <= last[mine] - first[mine] + 1
    return out


def _bounds(line: Ints, first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """Smallest and largest x y of the points of segments, their ends with them."""
    places = np.stack([first, last + 1], axis=1).ravel()
    padded = np.concatenate([line, line[-1:]])  # so that an end may be the last point
    return (np.minimum.reduceat(padded, places)[::2], np.maximum.reduceat(padded, places)[::2])
