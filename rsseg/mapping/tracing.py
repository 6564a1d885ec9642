"""Outlines of the regions of a band of class ids, all at once.

An outline passes a corner of pixels once for each side of the lines that meet there.  Each such passage is an item;
what follows it is found for all items at once, and the loops that they form are the rings.  GDAL's
``rasterio.features.shapes`` gives the same rings one by one, as Python objects, at three times the cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsseg.structures.rings import Rings, cycles, split_rings

__all__ = ["Ints", "Traced", "trace"]

Ints = NDArray[np.integer]

_RIGHT, _DOWN, _LEFT, _UP = range(4)


@dataclass(frozen=True)
class Traced:
    """Regions of a band: 4-connected pixels of one class.

    Attributes:
        rings: Outer rings run from +x to +y, holes the other way; their owners are the regions.
        sizes: (R,) signed areas of the rings, in pixels or in what pixels of each row are worth.
        labels: (N,) class id of each region.
        edges: (2, W) region of each pixel in the first and in the last row, -1 for none.
    """

    rings: Rings
    sizes: NDArray[np.floating]
    labels: Ints
    edges: Ints


def trace(
    band: NDArray[np.int16], turns: NDArray[np.bool_], nodata: int, heights: NDArray[np.floating] | None
) -> Traced:
    """Rings of the regions of a band of labels, with a point at each turn that they pass.

    Args:
        band: (rows + 2, W + 2) labels, with the rows above and below, and -1 outside of the map.
        turns: (rows + 1, W + 1) corners of pixels at which rings get a point.
        nodata: Label of pixels that belong to no region.
        heights: (rows + 1,) area of a column of pixels above each line between rows; None counts pixels.
    """
    labels = np.where(band == nodata, np.int16(-1), band)
    labels[[0, -1]] = -1
    corners = _Corners(labels, turns)
    after, touching = corners.follow()
    order, lengths = cycles(split_rings(after, *touching))
    x, y = corners.x[corners.at[order]], corners.y[corners.at[order]]
    starts, level = np.cumsum(lengths) - lengths, y if heights is None else heights[y]
    step = np.roll(level, -1) - level
    if len(lengths):
        step[starts + lengths - 1] = level[starts] - level[starts + lengths - 1]
    sizes = np.add.reduceat(x * step, starts) if len(lengths) else np.empty(0)
    ring_of = np.empty(len(after), np.int64)
    ring_of[order] = np.repeat(np.arange(len(lengths)), lengths)
    owners = corners.owners(ring_of, order[starts], sizes < 0)
    regions = np.full((2, labels.shape[1] - 2), -1)
    for row, found in zip((0, len(labels) - 3), regions, strict=True):
        inside = np.flatnonzero(labels[row + 1, 1:-1] >= 0)
        found[inside] = owners[ring_of[corners.items_left_of(row, inside)]]
    of_regions = corners.labels[order[starts][sizes > 0]]
    points = np.column_stack([x, y]).astype(np.int32)
    return Traced(Rings(points, lengths, owners), sizes, of_regions, regions)


class _Corners:
    """Corners at which rings get a point, and the passages of outlines through them.

    A passage leaves a corner along a line, its region to the right: of the lines to the right, down, left and up that
    is the pixel below right, below left, above left, above right.
    """

    def __init__(self, labels: NDArray[np.int16], turns: NDArray[np.bool_]) -> None:
        self.shape, width = turns.shape, labels.shape[1]
        self.y, self.x = (axis.astype(np.int32) for axis in np.nonzero(turns))
        place = self.y * np.int64(width) + self.x
        flat = labels.ravel()
        pixels = np.stack([flat[place + offset] for offset in (width + 1, width, 0, 1)], axis=1)
        lines = pixels != np.roll(pixels, -1, axis=1)  # down, left, up, right
        self.lines = np.roll(lines, 1, axis=1)
        self.pixels = pixels
        items = self.lines & (pixels >= 0)
        self.at, self.way = (axis.astype(np.int32) for axis in np.nonzero(items))
        self.labels = pixels[self.at, self.way]
        self.item = (np.cumsum(items.ravel(), dtype=np.int32) - 1).reshape(items.shape)
        self._sort_by_columns(turns)
        self._outlines = labels[1:-1, 1:] != labels[1:-1, :-1]  # (rows, W + 1) lines between pixels of a row

    def _sort_by_columns(self, turns: NDArray[np.bool_]) -> None:
        number = np.empty(turns.shape, np.int32)
        number[self.y, self.x] = np.arange(len(self.x), dtype=np.int32)
        self._columns = number.T[turns.T]  # corners column by column
        self._keys = self.x[self._columns] * np.int64(self.shape[0]) + self.y[self._columns]

    def follow(self) -> tuple[Ints, tuple[Ints, Ints]]:
        """Of each passage the one that follows; and pairs of passages of one label through one corner."""
        count = len(self.x)
        neighbour = np.zeros((4, count), np.int32)
        neighbour[_RIGHT], neighbour[_LEFT] = np.arange(1, count + 1), np.arange(-1, count - 1)
        neighbour[_DOWN, self._columns[:-1]] = self._columns[1:]
        neighbour[_UP, self._columns[1:]] = self._columns[:-1]
        to = neighbour[self.way, self.at]
        lines = (self.lines * np.array([1, 2, 4, 8], np.uint8)).sum(axis=1, dtype=np.uint8)
        way = _WAYS[lines[to], self.way]
        whole = np.flatnonzero(lines == 15)  # where two pixels of a region may touch
        pixels = self.pixels[whole]
        pairs = [whole[(pixels[:, k] == pixels[:, k + 2]) & (pixels[:, k] >= 0)] for k in (0, 1)]
        first, second = (np.concatenate([self.item[pairs[k], k + offset] for k in (0, 1)]) for offset in (0, 2))
        return self.item[to, way], (first, second)

    def items_left_of(self, rows: Ints | int, columns: Ints) -> Ints:
        """Passages along the line at the left end of the run of equal pixels in which a pixel lies."""
        lines = np.flatnonzero(self._outlines)
        width = self.shape[1]
        place = lines[np.searchsorted(lines, rows * width + columns, "right") - 1]
        y, x = place // width, place % width
        corner = self._columns[np.searchsorted(self._keys, x * self.shape[0] + y + 1)]
        return self.item[corner, _UP]

    def owners(self, ring_of: Ints, first: Ints, holes: NDArray[np.bool_]) -> Ints:
        """Of each ring the number of its region; regions come in the order of their outer rings.

        Args:
            ring_of: Ring of each passage.
            first: First passage of each ring.
            holes: (R,) which rings are holes.
        """
        parent = np.arange(len(holes))
        corner = self.at[first[holes]]  # above left of all of the hole: the pixel on its left belongs to the region
        parent[holes] = ring_of[self.items_left_of(self.y[corner], self.x[corner] - 1)]
        while holes[parent].any():
            parent = parent[parent]
        return (np.cumsum(~holes) - 1)[parent]


def _next_ways() -> NDArray[np.int8]:
    """(16, 4) by the lines at a corner (1 to the right, 2 down, 4 left, 8 up) and the way there: the way on."""
    out = np.zeros((16, 4), np.int8)
    for lines in range(16):
        for way in range(4):  # as far to the right as possible: pixels that touch by a corner are not connected
            turns = ((way + turn) % 4 for turn in (1, 0, 3))
            out[lines, way] = next((turn for turn in turns if lines >> turn & 1), 0)
    return out


_WAYS = _next_ways()
