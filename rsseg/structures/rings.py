"""Rings of polygons: their area, and how rings that were traced in bands of rows become one outline."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["close", "is_corner", "merge_rings", "ring_area"]

Ring = NDArray[np.int64]


def ring_area(ring: ArrayLike) -> NDArray[np.float64]:
    """Signed area (...) of rings (..., N, 2) of x y by the shoelace formula, closed or not.

    Positive where the ring runs from +x to +y: against the clock where y points up, with it where y points down.
    Coordinates are taken from the first point, so that large ones do not swallow a small area.
    """
    points = np.asarray(ring, np.float64)
    x, y = np.moveaxis(points - points[..., :1, :], -1, 0)
    return np.asarray((x * np.roll(y, -1, axis=-1) - np.roll(x, -1, axis=-1) * y).sum(axis=-1) / 2)


def close(ring: Ring) -> Ring:
    """The ring with its first point once more at its end."""
    return np.concatenate([ring, ring[:1]])


def is_corner(points: Ring, lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which points of rings, one after the other and not closed, are not on the straight line between neighbours.

    Args:
        points: (M, 2) x y.
        lengths: Points of each ring.
    """
    ends = np.cumsum(lengths)
    run = np.diff(points, axis=0, append=points[-1:])
    run[ends - 1] = points[ends - lengths] - points[ends - 1]
    came = np.roll(run, 1, axis=0)
    came[ends - lengths] = run[ends - 1]
    return came[:, 0] * run[:, 1] != came[:, 1] * run[:, 0]


def merge_rings(rings: list[Ring], rows: int, height: int) -> list[Ring]:
    """Outlines of the union of pieces of one region.

    What two pieces have in common on a seam is an edge of one and, backwards, of the other; both go.  The rest is put
    together again, and where a ring comes to the same point twice it becomes two, so that none touches itself.

    Args:
        rings: Of all pieces, not closed, the region to the same side of each.
        rows: Pixel rows from seam to seam.
        height: Of the map.
    """
    edges = [_seam_edges(ring, rows, height) for ring in rings]
    there = {(*start, *end) for _, found in edges for start, end in found}
    out, begins = [], defaultdict(list)
    for ring, (places, found) in zip(rings, edges, strict=True):
        gone = [p for p, (start, end) in zip(places, found, strict=True) if (*end, *start) in there]
        if not gone:
            out.append(ring)
            continue
        turned = np.roll(ring, -(gone[0] + 1), axis=0)  # begins after an edge that goes
        stops = [(p - gone[0] - 1) % len(ring) for p in (*gone[1:], gone[0])]
        first = 0
        for stop in stops:
            if stop > first:
                begins[tuple(turned[first].tolist())].append(turned[first : stop + 1])
            first = stop + 1
    while begins:
        chain = begins[next(iter(begins))][0]
        begin, parts = tuple(chain[0].tolist()), []
        while True:
            chain = _take(begins, tuple(chain[0].tolist()))
            parts.append(chain[:-1])
            end = tuple(chain[-1].tolist())
            if end == begin:
                break
            chain = begins[end][0]
        out += _simple(np.concatenate(parts))
    return out


def _take(begins: dict[tuple[int, ...], list[Ring]], at: tuple[int, ...]) -> Ring:
    chain = begins[at].pop(0)
    if not begins[at]:
        del begins[at]
    return chain


def _seam_edges(ring: Ring, rows: int, height: int) -> tuple[list[int], list[tuple[tuple, tuple]]]:
    """Numbers of the edges of a ring along seams, and their ends."""
    ends, y = np.roll(ring, -1, axis=0), ring[:, 1]
    places = np.flatnonzero((y == ends[:, 1]) & (y % rows == 0) & (y > 0) & (y < height))
    pairs = zip(ring[places].tolist(), ends[places].tolist(), strict=True)
    return places.tolist(), [(tuple(a), tuple(b)) for a, b in pairs]


def _simple(ring: Ring) -> list[Ring]:
    """A ring cut where it comes to a point that it has passed before."""
    keys = ring[:, 0] << 32 | ring[:, 1]
    if len(np.unique(keys)) == len(keys):
        return [ring]
    out, path = [], list[int]()
    seen = dict[int, int]()
    for i, key in enumerate(keys.tolist()):
        if key in seen:
            start = seen[key]
            out.append(ring[path[start:]])
            for j in path[start:]:
                del seen[int(keys[j])]
            del path[start:]
        seen[key] = len(path)
        path.append(i)
    return [*out, ring[path]]
