"""Polygons of a class map, one after the other, in memory that does not grow with the map's height."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.features import shapes
from rasterio.windows import Window

from rsseg.mapping.simplify import Corners, corners_of, kept_corners
from rsseg.structures.rings import close, is_corner, merge_rings, ring_area

__all__ = ["Polygon", "polygons"]

_ROWS, _PIXELS = (64, 512), 2 << 20
_OUTSIDE = -1

Ring = NDArray[np.int64]
Ints = NDArray[np.int64]


@dataclass
class Polygon:
    """A connected region of one class.

    Attributes:
        label: Class id.
        rings: Closed rings (N, 2) int64 of x y in pixels (corners of pixels): the outer one, then holes.
        area: Square metres within the rings, or pixels where pixels have no size.
    """

    label: int
    rings: list[Ring]
    area: float


@dataclass
class _Region:
    """A region that reaches beyond the rows seen so far; rings are not closed, and lie to the left of their line."""

    label: int
    size: float = 0
    rings: list[Ring] = field(default_factory=list)
    cut: list[Ring] = field(default_factory=list)  # those along a seam


def polygons(
    path: Path, areas: NDArray[np.floating] | None, min_area: float = 0, tolerance: float = 0
) -> Iterator[Polygon]:
    """Polygons of a class map: its 4-connected regions, without those of no data, in the order in which they end.

    The map is traced in bands of rows.  Memory holds a band and the outlines of the regions that cross its lower edge.

    Args:
        path: The map.
        areas: (H,) square metres of a pixel in each row; None counts pixels.
        min_area: Smaller regions are left out, in the unit of the areas.
        tolerance: Pixels by which outlines may be moved to need fewer points.  Neighbours keep a common line, and
            polygons stay valid: see :func:`rsseg.mapping.simplify.kept_corners`.
    """
    heights, unit = _heights(areas)
    open_regions: list[_Region] = []
    with rasterio.open(path) as file:
        rows = min(max(_PIXELS // file.width, _ROWS[0]), _ROWS[1])
        above = np.full(file.width, -1)  # of each pixel in the last row the number of its open region
        for top in range(0, file.height, rows):
            band = _read(file, top, min(rows, file.height - top))
            seams = top > 0, top + len(band) - 2 < file.height
            pieces = _pieces(band, top, seams, heights, tolerance, int(file.nodata))
            regions, below = _connect(pieces, open_regions, above, top, seams, top + len(band) - 2)
            open_regions = [region for region, stays in regions if stays]
            numbers = np.cumsum([stays for _, stays in regions]) - 1
            above = np.where(below >= 0, numbers[below] if len(numbers) else -1, -1)
            for region, stays in regions:
                if not stays and region.size * unit >= min_area:
                    yield _polygon(region, rows, file.height, heights, unit, tolerance > 0)


def _heights(areas: NDArray[np.floating] | None) -> tuple[NDArray[np.floating] | None, float]:
    """Area of a column of pixels above each line between rows, None for their count; and what to multiply with."""
    if areas is None or areas.min() == areas.max():
        return None, 1.0 if areas is None else float(areas[0])
    return np.concatenate([[0.0], np.cumsum(areas)]), 1.0


def _read(file: rasterio.DatasetReader, top: int, rows: int) -> NDArray[np.int16]:
    """Rows of the map with one more on each side, -1 where there is no map."""
    first, last = max(top - 1, 0), min(top + rows + 1, file.height)
    band = np.full((rows + 2, file.width + 2), _OUTSIDE, np.int16)
    start = first - top + 1
    band[start : start + last - first, 1:-1] = file.read(1, window=Window(0, first, file.width, last - first))
    return band


def _trace(band: NDArray[np.int16]) -> tuple[Ints, Ints, Ints, Ints]:
    """Rings of a band: points, points per ring (first and last are the same), labels, which are holes."""
    points, labels, holes = [], [], []
    for shape, value in shapes(band[1:-1, 1:-1].astype(np.uint8), connectivity=4):
        for number, ring in enumerate(shape["coordinates"]):
            points.append(np.asarray(ring, np.int32))
            labels.append(int(value))
            holes.append(number > 0)
    lengths = np.array([len(ring) for ring in points])
    return np.concatenate(points).astype(np.int64), lengths, np.array(labels), np.array(holes)


def _walk(points: Ints, lengths: Ints, corners: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Points of rings, not closed, at all corners that they pass; and how many each ring has."""
    step = np.diff(points, axis=0, append=points[-1:])
    step[np.cumsum(lengths) - 1] = 0
    count = np.abs(step).sum(axis=1)
    number = np.repeat(np.arange(len(points)), count)
    far = np.arange(len(number)) - np.repeat(np.cumsum(count) - count, count)
    walked = points[number] + np.sign(step)[number] * far[:, None]
    found = corners[walked[:, 1], walked[:, 0]]
    ring = np.repeat(np.arange(len(lengths)), lengths)[number[found]]
    return walked[found], np.bincount(ring, minlength=len(lengths))


def _pieces(
    band: NDArray[np.int16],
    top: int,
    seams: tuple[bool, bool],
    heights: NDArray[np.floating] | None,
    tolerance: float,
    nodata: int,
) -> Iterator[_Region]:
    """What lies of each region in a band; rings along a seam have a point wherever outlines meet it."""
    corners: Corners = corners_of(band, seams)
    points, lengths, labels, holes = _trace(band)
    twice = _sizes(points, lengths, None if heights is None else heights[top : top + len(band) - 1])
    points, lengths = _walk(points, lengths, corners.turns)
    if tolerance > 0:
        stay = kept_corners(corners, points, lengths, tolerance)[points[:, 1], points[:, 0]]
        lengths = np.add.reduceat(stay, np.cumsum(lengths) - lengths, dtype=np.int64)
        points = points[stay]
    touches = np.zeros(len(points), bool)
    for seam, row in zip(seams, (0, len(band) - 2), strict=True):
        touches |= seam & (points[:, 1] == row)
    cut = np.logical_or.reduceat(touches, np.cumsum(lengths) - lengths)
    stay = np.repeat(cut, lengths) | is_corner(points, lengths)
    lengths = np.add.reduceat(stay, np.cumsum(lengths) - lengths, dtype=np.int64)
    points, ends = points[stay], np.cumsum(lengths)
    points[:, 1] += top
    region: _Region | None = None
    for i, (start, end) in enumerate(zip((ends - lengths).tolist(), ends.tolist(), strict=True)):
        if not holes[i]:
            if region is not None and region.label != nodata:
                yield region
            region = _Region(int(labels[i]))
        assert region is not None  # the first ring is no hole
        region.size += -abs(twice[i]) if holes[i] else abs(twice[i])
        ring = points[start:end].copy()
        (region.cut if cut[i] else region.rings).append(ring if (twice[i] > 0) != holes[i] else ring[::-1])
    if region is not None and region.label != nodata:
        yield region


def _sizes(points: Ints, lengths: Ints, heights: NDArray[np.floating] | None) -> NDArray[np.floating]:
    """Signed area of closed rings along pixels."""
    x, y = points.T
    level = y if heights is None else heights[y]
    step = np.diff(level, append=level[-1:])
    step[np.cumsum(lengths) - 1] = 0
    return np.add.reduceat(x * step, np.cumsum(lengths) - lengths)


def _connect(
    pieces: Iterator[_Region],
    before: list[_Region],
    above: Ints,
    top: int,
    seams: tuple[bool, bool],
    bottom: int,
) -> tuple[list[tuple[_Region, bool]], Ints]:
    """Regions after a band, and which go on below it; and of each pixel in its last row the region's number."""
    regions, parent = list(before), list(range(len(before)))
    below = np.full(len(above), -1)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for piece in pieces:
        own = len(regions)
        regions.append(piece)
        parent.append(own)
        for ring in piece.cut:
            for left, right, y in _flat(ring):
                if y == bottom and seams[1]:
                    below[left:right] = own
                elif y == top and seams[0] and above[left] >= 0 and before[above[left]].label == piece.label:
                    parent[root(own)] = root(int(above[left]))
    roots = np.array([root(i) for i in range(len(regions))], np.int64)
    for i, region in enumerate(regions):
        whole = regions[roots[i]]
        if whole is not region:
            whole.size += region.size
            whole.rings += region.rings
            whole.cut += region.cut
    ids, numbers = np.unique(roots, return_inverse=True)
    below = np.where(below >= 0, numbers[below] if len(numbers) else -1, -1)
    stays = set(below.tolist())
    return [(regions[i], number in stays) for number, i in enumerate(ids.tolist())], below


def _flat(ring: Ring) -> list[list[int]]:
    """Left, right and row of the level edges of a ring."""
    ends = np.roll(ring, -1, axis=0)
    level = ring[:, 1] == ends[:, 1]
    x = np.stack([ring[level, 0], ends[level, 0]], axis=1)
    return np.column_stack([x.min(axis=1), x.max(axis=1), ring[level, 1]]).tolist()


def _polygon(
    region: _Region, rows: int, height: int, heights: NDArray[np.floating] | None, unit: float, simplified: bool
) -> Polygon:
    if region.cut:
        whole = [ring[is_corner(ring, np.array([len(ring)]))] for ring in merge_rings(region.cut, rows, height)]
        # a connected region has one outer ring, the only one against the clock; without a cut it is the first
        region.rings = sorted([*whole, *region.rings], key=lambda ring: ring_area(ring) <= 0)
    rings = [close(ring) for ring in region.rings]
    size = abs(sum(_area(ring, heights) for ring in rings)) if simplified else region.size
    return Polygon(region.label, rings, size * unit)


def _area(ring: Ring, heights: NDArray[np.floating] | None) -> float:
    """Signed area of a closed ring whose edges need not run along pixels; each row has its own area of a pixel."""
    x, y = ring.T
    if heights is None:
        return float(((y[1:] + y[:-1]) / 2) @ np.diff(x))
    first = y.min()
    level = heights[first : y.max() + 1] - heights[first]  # area of a column of pixels above a line
    below = np.concatenate([[0.0], np.cumsum((level[1:] + level[:-1]) / 2)])
    y = y - first
    rise = np.diff(y)
    mean = np.where(rise == 0, level[y[1:]], np.diff(below[y]) / np.where(rise == 0, 1, rise))
    return float(mean @ np.diff(x))
