"""Where windows lie, and how much each of them counts at each pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rsseg.structures.windows import tile_windows

__all__ = ["BLENDS", "Grid", "GridPart", "blend_centre", "blend_cosine", "blend_mean"]

Starts = NDArray[np.int64]
Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """Overlapping windows over a raster, in rows; a row of windows finishes one strip of the map.

    Strip ``r`` is the pixel rows from the start of window row ``r`` to the start of the next one: nothing below adds to
    them.  Block ``j`` is the same along the other axis.

    Attributes:
        size: (H, W) of the raster.
        window: (height, width) of windows; they are smaller where the raster is.
        overlap: (vertical, horizontal) pixels that neighbours share at least.

    Raises:
        ValueError: A size is not positive, or the overlap is negative or not smaller than the window.
    """

    size: tuple[int, int]
    window: tuple[int, int]
    overlap: tuple[int, int]

    def __post_init__(self) -> None:
        tile_windows((1, 1), self.window, self.overlap)  # its checks
        tile_windows((min(self.size[0], 1), min(self.size[1], 1)), 1)

    @cached_property
    def extent(self) -> tuple[int, int]:
        """(height, width) that windows really have."""
        return min(self.window[0], self.size[0]), min(self.window[1], self.size[1])

    @cached_property
    def ys(self) -> Starts:
        """(R,) int64 first pixel row of every window row."""
        return tile_windows((self.size[0], 1), (self.window[0], 1), (self.overlap[0], 0))[:, 1]

    @cached_property
    def xs(self) -> Starts:
        """(N,) int64 first pixel column of every window in a row."""
        return tile_windows((1, self.size[1]), (1, self.window[1]), (0, self.overlap[1]))[:, 0]

    def strip(self, row: int) -> tuple[int, int]:
        """First and last (exclusive) pixel row of strip ``row``."""
        return int(self.ys[row]), int(self.ys[row + 1]) if row + 1 < len(self.ys) else self.size[0]

    def block(self, column: int) -> tuple[int, int]:
        """First and last (exclusive) pixel column of block ``column`` of every strip."""
        return int(self.xs[column]), int(self.xs[column + 1]) if column + 1 < len(self.xs) else self.size[1]

    def first_row(self, strip: int) -> int:
        """The first row of windows that reaches into a strip."""
        return int(np.argmax(self.ys + self.extent[0] > self.ys[strip]))


@dataclass(frozen=True)
class GridPart(Grid):
    """Those windows of a grid that reach into a rectangle; pixels count from the first of them.

    Within the rectangle, sums and weights of windows are those of the whole grid.

    Attributes:
        whole: The grid.
        rows: First and last (exclusive) row of windows.
        columns: First and last (exclusive) window of a row.
        origin: (row, column) of its first pixel in the whole grid.
    """

    whole: Grid
    rows: tuple[int, int]
    columns: tuple[int, int]
    origin: tuple[int, int]

    @classmethod
    def of(cls, whole: Grid, x1: int, y1: int, x2: int, y2: int) -> GridPart:
        """The windows that reach into a rectangle of pixels."""
        (height, width), ys, xs = whole.extent, whole.ys, whole.xs
        rows, columns = (
            np.flatnonzero((starts < last) & (starts + size > first))
            for starts, size, first, last in ((ys, height, y1, y2), (xs, width, x1, x2))
        )
        origin = int(ys[rows[0]]), int(xs[columns[0]])
        size = int(ys[rows[-1]]) + height - origin[0], int(xs[columns[-1]]) + width - origin[1]
        ends = (int(rows[0]), int(rows[-1]) + 1), (int(columns[0]), int(columns[-1]) + 1)
        return cls(size, whole.window, whole.overlap, whole, *ends, origin)

    @property
    def extent(self) -> tuple[int, int]:
        """(height, width) of windows, as in the whole grid."""
        return self.whole.extent

    @cached_property
    def ys(self) -> Starts:
        """(R,) int64 first pixel row of every window row."""
        return self.whole.ys[slice(*self.rows)] - self.origin[0]

    @cached_property
    def xs(self) -> Starts:
        """(N,) int64 first pixel column of every window in a row."""
        return self.whole.xs[slice(*self.columns)] - self.origin[1]


def blend_mean(starts: Starts, size: int, length: int) -> Weights:
    """All windows that cover a pixel count the same, as in mmseg's slide inference."""
    return np.ones((len(starts), size), np.float32)


def blend_cosine(starts: Starts, size: int, length: int) -> Weights:
    """Windows fade out towards their borders (squared sine); at each pixel the weights add up to 1.

    A pixel that only one window covers gets weight 1, so the raster's own border does not fade.
    """
    profile = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
    total = np.zeros(length)
    for start in starts:
        total[start : start + size] += profile
    return np.stack([profile / total[start : start + size] for start in starts]).astype(np.float32)


def blend_centre(starts: Starts, size: int, length: int) -> Weights:
    """Each pixel belongs to one window: neighbours are cut in the middle of what they share."""
    out = np.zeros((len(starts), size), np.float32)
    cuts = [0, *((starts[1:] + starts[:-1] + size) // 2).tolist(), length]
    for row, start, low, high in zip(out, starts.tolist(), cuts[:-1], cuts[1:], strict=True):
        row[low - start : high - start] = 1
    return out


BLENDS: dict[str, Callable[[Starts, int, int], Weights]] = {
    "mean": blend_mean,
    "cosine": blend_cosine,
    "centre": blend_centre,
}
"""Along one axis: (starts of N windows, their size, length of the raster) to weights (N, size); a window's weight at a
pixel is the product of both axes'."""
