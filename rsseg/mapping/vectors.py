"""Polygons of a class map, some thousand at a time, in memory that does not grow with the map's height."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from rsseg.mapping.simplify import corners_of, kept_corners
from rsseg.mapping.tracing import Ints, trace
from rsseg.structures.rings import Rings, following, is_corner, merge_rings

__all__ = ["Polygons", "polygons", "polygons_of"]

_ROWS, _PIXELS = (64, 512), 1 << 20
_OUTSIDE = -1

Floats = NDArray[np.floating]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Polygons:
    """N connected regions, each of one class.

    Attributes:
        labels: (N,) class ids.
        areas: (N,) square metres within the rings, or pixels where pixels have no size.
        rings: Of x y in pixels (corners of pixels), polygon by polygon: the outer one, then holes.  Outer rings run
            from +x to +y, holes the other way; none is closed.
    """

    labels: Ints
    areas: Floats
    rings: Rings

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, first: int, last: int) -> Polygons:
        """The polygons from ``first`` to before ``last``."""
        low, high = np.searchsorted(self.rings.owners, (first, last))
        ends = np.concatenate([[0], np.cumsum(self.rings.lengths)])
        rings = Rings(self.rings.points[ends[low] : ends[high]], self.rings.lengths[low:high],
                      self.rings.owners[low:high] - first)  # fmt: skip
        return Polygons(self.labels[first:last], self.areas[first:last], rings)

    @classmethod
    def joined(cls, parts: list[Polygons]) -> Polygons:
        """All polygons of some parts, of which there is one or more."""
        before = np.cumsum([0, *map(len, parts[:-1])]).tolist()
        rings = [Rings(p.rings.points, p.rings.lengths, p.rings.owners + n) for p, n in zip(parts, before, strict=True)]
        return cls(np.concatenate([p.labels for p in parts]), np.concatenate([p.areas for p in parts]),
                   Rings.joined(rings))  # fmt: skip


@dataclass(frozen=True)
class _Regions:
    """N regions whose outlines may be unfinished.

    Attributes:
        labels: (N,) class ids.
        sizes: (N,) areas of the rows seen so far.
        whole: Outlines that are closed, in parts.
        cut: Outlines that run along a seam, in parts.
    """

    labels: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    sizes: Floats = field(default_factory=lambda: np.empty(0))
    whole: list[Rings] = field(default_factory=list)
    cut: list[Rings] = field(default_factory=list)

    def select(self, chosen: Flags) -> _Regions:
        """Some of the regions, with new numbers."""
        numbers = np.cumsum(chosen) - 1

        def parts(found: list[Rings]) -> list[Rings]:
            flags = [(part, chosen[part.owners]) for part in found]
            return [(part if mine.all() else part.select(mine)).owned(numbers) for part, mine in flags if mine.any()]

        return _Regions(self.labels[chosen], self.sizes[chosen], parts(self.whole), parts(self.cut))


def polygons(path: Path, areas: Floats | None, min_area: float = 0, tolerance: float = 0) -> Iterator[Polygons]:
    """Polygons of a class map: its 4-connected regions, without those of no data, in the order in which they end.

    The map is traced in bands of rows.  Memory holds a band and the outlines of the regions that cross its lower edge.

    Args:
        path: The map.
        areas: (H,) square metres of a pixel in each row; None counts pixels.
        min_area: Smaller regions are left out, in the unit of the areas.
        tolerance: Pixels by which outlines may be moved to need fewer points.  Neighbours keep a common line, and
            polygons stay valid: see :func:`rsseg.mapping.simplify.kept_corners`.

    Yields:
        The polygons that end in a band of rows, where there are any.
    """
    heights, unit = _heights(areas)
    with rasterio.open(path) as file:
        rows = min(max(_PIXELS // file.width, _ROWS[0]), _ROWS[1])
        before, above = _Regions(), np.full(file.width, -1)  # the last row's pixels' numbers of open regions
        for top in range(0, file.height, rows):
            band = _read(file, top, min(rows, file.height - top))
            seams = top > 0, top + len(band) - 2 < file.height
            found, edges = _regions(band, top, seams, heights, tolerance, int(file.nodata))
            crossing = np.zeros(len(found.labels), bool)
            crossing[edges[edges >= 0]] = True
            edges = np.where(edges >= 0, (np.cumsum(crossing) - 1)[edges] if len(crossing) else -1, -1)
            before, ended, above = _connect(before, found.select(crossing), above, edges)
            for regions in (ended, found.select(~crossing)):
                regions = regions.select(regions.sizes * unit >= min_area)
                if len(regions.labels):
                    yield _polygons(regions, rows, file.height, heights, unit, tolerance > 0)


def polygons_of(labels: NDArray[np.integer], nodata: int, min_area: float = 0, tolerance: float = 0) -> Polygons:
    """Polygons of class ids in memory, as :func:`polygons` finds them in a file; areas are in pixels.

    Args:
        labels: (H, W) class ids, each from 0 to 32767.
        nodata: The id of pixels that belong to no polygon.
        min_area: Smaller regions are left out, in pixels.
        tolerance: Pixels by which outlines may be moved to need fewer points.
    """
    band = np.full((labels.shape[0] + 2, labels.shape[1] + 2), _OUTSIDE, np.int16)
    band[1:-1, 1:-1] = labels
    found, _ = _regions(band, 0, (False, False), None, tolerance, nodata)
    found = found.select(found.sizes >= min_area)
    if not len(found.labels):
        nothing = np.empty(0, np.int64)
        return Polygons(nothing, np.empty(0), Rings(np.empty((0, 2), np.int64), nothing, nothing))
    return _polygons(found, len(labels), len(labels), None, 1.0, tolerance > 0)


def _heights(areas: Floats | None) -> tuple[Floats | None, float]:
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


def _regions(
    band: NDArray[np.int16], top: int, seams: tuple[bool, bool], heights: Floats | None, tolerance: float, nodata: int
) -> tuple[_Regions, Ints]:
    """What lies of each region in a band; and (2, W) the regions of the pixels along its seams, -1 for none.

    Rings along a seam have a point wherever outlines meet it.
    """
    corners = corners_of(band, seams)
    traced = trace(band, corners.turns, nodata, None if heights is None else heights[top : top + len(band) - 1])
    rings = traced.rings
    if not len(traced.labels):
        return _Regions(), np.where(False, traced.edges, -1)
    if tolerance > 0:
        stay = kept_corners(corners, rings.points.astype(np.int64), rings.lengths.astype(np.int64), tolerance)
        rings = rings.thinned(stay[rings.points[:, 1], rings.points[:, 0]])
    rows = np.array([0, len(band) - 2])[np.array(seams)]
    cut = np.logical_or.reduceat(np.isin(rings.points[:, 1], rows), rings.starts)
    rings = rings.thinned(np.repeat(cut, rings.lengths) | is_corner(rings.points, rings.lengths))
    rings.points[:, 1] += top
    sizes = np.bincount(rings.owners, traced.sizes).astype(np.float64)
    edges = np.where(np.array(seams)[:, None], traced.edges, -1)
    return _Regions(traced.labels, sizes, [rings.select(~cut)], [rings.select(cut)]), edges


def _connect(before: _Regions, new: _Regions, above: Ints, edges: Ints) -> tuple[_Regions, _Regions, Ints]:
    """Regions that go on below a band, those that do not, and of each pixel in the last row the region's number.

    Args:
        before: Regions that reach the band from above.
        new: What lies in the band of regions that cross its seams.
        above: (W,) region of each pixel in the row above the band, -1 for none.
        edges: (2, W) piece of each pixel in the band's first and last row, -1 for none.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    shift = len(before.labels)
    labels = np.concatenate([before.labels, new.labels])
    if not len(labels):
        return before, new, edges[1]
    over = np.flatnonzero((above >= 0) & (edges[0] >= 0))
    over = over[before.labels[above[over]] == new.labels[edges[0][over]]]
    links = coo_array((np.ones(len(over), bool), (above[over], edges[0][over] + shift)), (len(labels),) * 2)
    count, whole = connected_components(links, directed=False)
    label = np.empty(count, labels.dtype)
    label[whole] = labels
    sizes = np.bincount(whole, np.concatenate([before.sizes, new.sizes])).astype(np.float64)
    parts = [[*(p.owned(whole[:shift]) for p in old), *(p.owned(whole[shift:]) for p in own)]
             for old, own in ((before.whole, new.whole), (before.cut, new.cut))]  # fmt: skip
    regions = _Regions(label, sizes, *parts)
    below = np.where(edges[1] >= 0, whole[shift + edges[1]], -1)
    stays = np.zeros(count, bool)
    stays[below[below >= 0]] = True
    return regions.select(stays), regions.select(~stays), np.where(below >= 0, (np.cumsum(stays) - 1)[below], -1)


def _polygons(
    regions: _Regions, rows: int, height: int, heights: Floats | None, unit: float, simplified: bool
) -> Polygons:
    parts = list(regions.whole)
    if regions.cut:
        parts.append(merge_rings(Rings.joined(regions.cut), rows, height))
    rings = Rings.joined(parts)
    # a connected region has one outer ring, the only one against the clock
    rings = rings.sorted(np.lexsort((_areas(rings, None) < 0, rings.owners)))
    sizes = np.bincount(rings.owners, _areas(rings, heights)) if simplified else regions.sizes
    return Polygons(regions.labels, sizes * unit, rings)


def _areas(rings: Rings, heights: Floats | None) -> Floats:
    """Signed areas of rings whose edges need not run along pixels; each row has its own area of a pixel."""
    after = following(rings.lengths)
    x, y = rings.points.T.astype(np.int64)
    if heights is None:
        return np.add.reduceat(x * y[after] - x[after] * y, rings.starts) / 2
    level = np.concatenate([[0.0], np.cumsum((heights[1:] + heights[:-1]) / 2)])  # its integral downwards
    rise = y[after] - y
    mean = np.where(rise == 0, heights[y], (level[y[after]] - level[y]) / np.where(rise == 0, 1, rise))
    mean -= np.repeat(heights[y[rings.starts]], rings.lengths)  # large numbers would swallow a small area
    return -np.add.reduceat(mean * (x[after] - x), rings.starts)
