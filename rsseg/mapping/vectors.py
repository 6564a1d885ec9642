"""Polygons of a class map, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.features import shapes

__all__ = ["Polygon", "polygons", "simplify_polygon"]

_CHUNK = 512

Ring = NDArray[np.int64]


@dataclass
class Polygon:
    """A connected region of one class.

    Attributes:
        label: Class id.
        rings: Closed rings (N, 2) int64 of x y in pixels (corners of pixels): the outer one, then holes.
        area: Square metres, or pixels where pixels have no size.
    """

    label: int
    rings: list[Ring]
    area: float


def polygons(
    path: Path, areas: NDArray[np.floating] | None, min_area: float = 0, tolerance: float = 0
) -> Iterator[Polygon]:
    """Polygons of a class map: its 4-connected regions, without those of no data.

    GDAL keeps the regions' outlines in memory until all are there; the pixels are read line by line.

    Args:
        path: The map.
        areas: (H,) square metres of a pixel in each row; None counts pixels.
        min_area: Smaller regions are left out, in the unit of the areas.
        tolerance: Pixels by which an outline may be moved to need fewer points, see :func:`simplify_polygon`.
    """
    with rasterio.open(path) as file:
        back = ~file.transform  # GDAL answers in coordinates
        for shape, value in shapes(rasterio.band(file, 1), connectivity=4):
            if int(value) == file.nodata:
                continue
            rings = [_pixels(np.asarray(ring), back) for ring in shape["coordinates"]]
            area = _area(rings, areas)
            if area >= min_area:
                yield Polygon(int(value), simplify_polygon(rings, tolerance) if tolerance else rings, area)


def _pixels(points: NDArray[np.float64], back: Affine) -> Ring:
    x, y = points.T
    columns, rows = back.a * x + back.b * y + back.c, back.d * x + back.e * y + back.f
    return np.rint(np.stack([columns, rows], axis=1)).astype(np.int64)


def twice_area(ring: NDArray[np.number]) -> float:
    """Twice the signed area of a closed ring."""
    x, y = ring[:-1, 0], ring[:-1, 1]
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


def _area(rings: list[Ring], areas: NDArray[np.floating] | None) -> float:
    pixels = (abs(twice_area(rings[0])) - sum(abs(twice_area(ring)) for ring in rings[1:])) / 2
    if areas is None:
        return pixels
    low, high = rings[0][:, 1].min(), rings[0][:, 1].max()
    return pixels * float(areas[low:high].mean())


def simplify_polygon(rings: list[Ring], tolerance: float) -> list[Ring]:
    """Fewer points (Douglas and Peucker, ring by ring), and still a valid polygon.

    Where the result would cross or touch itself, half the tolerance is tried, and so on; in the end the polygon stays
    as it was.  Neighbours are simplified on their own, so they may overlap or leave gaps of up to twice the tolerance.

    Args:
        rings: Closed rings (N, 2) int64, the outer one first.
        tolerance: Largest distance in pixels of a left-out point from the line that replaces it.
    """
    while tolerance >= 0.5:
        outer = _fewer(rings[0], tolerance)
        thin = [ring for ring in (_fewer(hole, tolerance) for hole in rings[1:]) if len(ring) > 3]
        if len(outer) > 3 and not _cross([outer, *thin]):
            return [outer, *thin]
        tolerance /= 2
    return rings


def _fewer(ring: Ring, tolerance: float) -> Ring:
    """Points of a closed ring that Douglas and Peucker keep."""
    keep = np.zeros(len(ring), bool)
    middle = int(((ring - ring[0]) ** 2).sum(axis=1).argmax())
    keep[[0, middle, -1]] = True
    todo = [(0, middle), (middle, len(ring) - 1)]
    while todo:
        first, last = todo.pop()
        if last - first < 2:
            continue
        line, points = ring[last] - ring[first], ring[first + 1 : last] - ring[first]
        length = float(np.hypot(*line))
        if length:
            along = np.clip(points @ line / length**2, 0, 1)
            off = np.hypot(*(points - along[:, None] * line).T)
        else:
            off = np.hypot(*points.T)
        worst = int(off.argmax())
        if off[worst] > tolerance:
            keep[first + 1 + worst] = True
            todo += [(first, first + 1 + worst), (first + 1 + worst, last)]
    return ring[keep]


def _cross(rings: list[Ring]) -> bool:
    """Whether two segments of closed rings meet anywhere but in a point that is an end of both."""
    ends = np.concatenate([np.concatenate([ring[:-1], ring[1:]], axis=1) for ring in rings])
    low, high = np.minimum(ends[:, :2], ends[:, 2:]), np.maximum(ends[:, :2], ends[:, 2:])
    order = np.argsort(low[:, 0], kind="stable")
    ends, low, high = ends[order], low[order], high[order]
    for start in range(0, len(ends), _CHUNK):
        rows = slice(start, start + _CHUNK)
        stop = int(np.searchsorted(low[:, 0], high[rows, 0].max(), side="right"))
        columns = slice(start, stop)
        near = (low[rows, None] <= high[None, columns]).all(-1) & (low[None, columns] <= high[rows, None]).all(-1)
        i, j = np.nonzero(near)
        i, j = i[i < j] + start, j[i < j] + start
        if _meet(ends[i], ends[j]).any():
            return True
    return False


def _meet(first: Ring, second: Ring) -> NDArray[np.bool_]:
    """Whether segments (K, 4) whose boxes overlap meet, other than end to end.  Integers: the answer is exact."""
    a, b, c, d = first[:, :2], first[:, 2:], second[:, :2], second[:, 2:]
    sides = [_side(c, d, a), _side(c, d, b), _side(a, b, c), _side(a, b, d)]
    meet = (sides[0] * sides[1] <= 0) & (sides[2] * sides[3] <= 0)
    flat = (np.stack(sides) == 0).all(axis=0)
    same = [(p == q).all(axis=1) for p, q in ((a, c), (a, d), (b, c), (b, d))]
    shared = np.any(same, axis=0)
    # on one line and with a common end: they overlap unless they run away from it
    common = np.where((same[0] | same[1])[:, None], a, b)
    one, other = np.where((same[0] | same[1])[:, None], b, a), np.where((same[0] | same[2])[:, None], d, c)
    back = ((one - common) * (other - common)).sum(axis=1) > 0
    return meet & (~shared | (flat & back))


def _side(start: Ring, end: Ring, point: Ring) -> Ring:
    run, to = end - start, point - start
    return np.sign(run[:, 0] * to[:, 1] - run[:, 1] * to[:, 0])
