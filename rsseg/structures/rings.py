"""Rings of polygons, thousands at once: their order, their area, and how rings of neighbouring bands become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Rings", "cycles", "following", "is_corner", "merge_rings", "ring_area", "spans", "split_rings"]

Ints = NDArray[np.integer]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Rings:
    """R rings, one after the other, not closed.

    Attributes:
        points: (M, 2) x y of all.
        lengths: (R,) points of each.
        owners: (R,) number of the polygon of each.
    """

    points: Ints
    lengths: Ints
    owners: Ints

    @property
    def starts(self) -> Ints:
        """(R,) first point of each."""
        return np.cumsum(self.lengths) - self.lengths

    def select(self, chosen: Flags) -> Rings:
        """Some of the rings."""
        return Rings(self.points[np.repeat(chosen, self.lengths)], self.lengths[chosen], self.owners[chosen])

    def thinned(self, stay: Flags) -> Rings:
        """The rings with some (M,) of their points; each must keep one."""
        lengths = np.add.reduceat(stay, self.starts, dtype=np.int64) if len(stay) else self.lengths
        return Rings(self.points[stay], lengths, self.owners)

    def sorted(self, order: Ints) -> Rings:
        """The rings in another order."""
        lengths = self.lengths[order]
        return Rings(self.points[spans(self.starts[order], lengths)], lengths, self.owners[order])

    def owned(self, numbers: Ints) -> Rings:
        """The rings of polygons that have new numbers."""
        return Rings(self.points, self.lengths, numbers[self.owners])

    @classmethod
    def joined(cls, parts: Sequence[Rings]) -> Rings:
        """All rings of some parts, of which there is one or more."""
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("points", "lengths", "owners")))


def spans(starts: Ints, counts: Ints) -> Ints:
    """The numbers start, start + 1, ... of each span, one span after the other."""
    return np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(int(counts.sum()))


def ring_area(ring: ArrayLike) -> NDArray[np.float64]:
    """Signed area (...) of rings (..., N, 2) of x y by the shoelace formula, closed or not.

    Positive where the ring runs from +x to +y: against the clock where y points up, with it where y points down.
    Coordinates are taken from the first point, so that large ones do not swallow a small area.
    """
    points = np.asarray(ring, np.float64)
    x, y = np.moveaxis(points - points[..., :1, :], -1, 0)
    return np.asarray((x * np.roll(y, -1, axis=-1) - np.roll(x, -1, axis=-1) * y).sum(axis=-1) / 2)


def following(lengths: Ints) -> Ints:
    """Of each point of rings, one after the other, the number of the next one."""
    ends = np.cumsum(lengths)
    after = np.arange(1, int(lengths.sum()) + 1)
    after[ends - 1] = ends - lengths
    return after


def is_corner(points: Ints, lengths: Ints) -> Flags:
    """Which points of rings, one after the other and not closed, are not on the straight line between neighbours.

    Args:
        points: (M, 2) x y.
        lengths: Points of each ring.
    """
    after = following(lengths)
    run = (points[after] - points).astype(np.int64)
    out = np.empty(len(points), bool)
    out[after] = run[:, 0] * run[after, 1] != run[:, 1] * run[after, 0]
    return out


def _loops(after: Ints) -> Ints:
    """Of each item the number of its loop, in the order of their first items."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    size, index = len(after), np.int32 if len(after) < 1 << 31 else np.int64
    graph = csr_array((np.ones(size, np.int8), after.astype(index), np.arange(size + 1, dtype=index)), (size, size))
    return connected_components(graph, directed=False)[1]


def cycles(after: Ints) -> tuple[Ints, Ints]:
    """Items that follow each other in loops, loop by loop: their order, and how many each loop has.

    Each loop begins at its smallest item, and loops come in the order of these.

    Args:
        after: (N,) of each item the one that follows; each item follows exactly one.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order

    size = len(after)
    if not size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    loop = _loops(after)
    counts = np.bincount(loop)
    first = np.empty(len(counts), np.int64)
    first[loop[::-1]] = np.arange(size - 1, -1, -1)
    before = np.empty(size, np.int64)
    before[after] = np.arange(size)
    chain = after.astype(np.int32)  # one line of all loops: the last item of each leads to the next one's first
    chain[before[first[:-1]]] = first[1:]
    line = csr_array((np.ones(size, np.int8), chain, np.arange(size + 1, dtype=np.int32)), (size, size))
    return breadth_first_order(line, int(first[0]), return_predecessors=False), counts


def split_rings(after: Ints, first: Ints, second: Ints) -> Ints:
    """Loops without those that come to a point twice, each of which becomes two that touch there.

    Args:
        after: (N,) of each item the one that follows.
        first: (K,) items at points to which a region comes twice.
        second: (K,) items at the same points.  Loops must not cross themselves.

    Returns:
        (N,) what follows each item.
    """
    loop = _loops(after)
    same = loop[first] == loop[second]
    if not same.any():
        return after
    first, second = first[same], second[same]
    before, out = np.empty(len(after), np.int64), after.copy()
    before[after] = np.arange(len(after))
    out[before[first]], out[before[second]] = second, first
    return out


def merge_rings(rings: Rings, rows: int, height: int) -> Rings:
    """Outlines of the unions of the pieces of polygons.

    What two pieces have in common on a seam is an edge of one and, backwards, of the other; both go.  The rest is put
    together again, and where a ring comes to the same point twice it becomes two, so that none touches itself.

    Args:
        rings: Of all pieces, the polygon to the same side of each.
        rows: Pixel rows from seam to seam.
        height: Of the map.
    """
    points, owners = rings.points.astype(np.int64), np.repeat(rings.owners, rings.lengths)
    after = following(rings.lengths)
    stays = np.ones(len(points), bool)
    stays[_double_edges(points, after, owners, rows, height)] = False
    ends = np.flatnonzero(stays & ~stays[after])
    before = np.empty(len(points), np.int64)
    before[after] = np.arange(len(points))
    begins = np.flatnonzero(stays & ~stays[before])
    after[ends[_order(points[after[ends]], owners[ends])]] = begins[_order(points[begins], owners[begins])]
    number = np.cumsum(stays) - 1
    after, points, owners = number[after[stays]], points[stays], owners[stays]
    order = _order(points, owners)
    twice = _equal(points[order], owners[order])
    order, lengths = cycles(split_rings(after, order[:-1][twice], order[1:][twice]))
    whole = Rings(points[order], lengths, owners[order[np.cumsum(lengths) - lengths]])
    return whole.thinned(is_corner(whole.points, lengths))


def _order(points: Ints, owners: Ints) -> Ints:
    return np.lexsort((points[:, 0], points[:, 1], owners))


def _equal(points: Ints, owners: Ints) -> Flags:
    """(N - 1,) whether a point and its owner are those of the next one."""
    return (points[1:] == points[:-1]).all(axis=1) & (owners[1:] == owners[:-1])


def _double_edges(points: Ints, after: Ints, owners: Ints, rows: int, height: int) -> Ints:
    """Points whose edges to the next ones lie on a seam, and are there backwards, too."""
    y = points[:, 1]
    edges = np.flatnonzero((y == y[after]) & (y % rows == 0) & (y > 0) & (y < height))
    x = np.sort(np.stack([points[edges, 0], points[after[edges], 0]], axis=1), axis=1)
    place = np.column_stack([x[:, 0], y[edges]])
    order = np.lexsort((x[:, 1], place[:, 0], place[:, 1], owners[edges]))
    double = np.flatnonzero(_equal(place[order], owners[edges[order]]) & (np.diff(x[order, 1]) == 0))
    return edges[order[np.concatenate([double, double + 1])]]
