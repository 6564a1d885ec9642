"""A map on the grid of another one: each pixel has the class that covers most of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from rsseg.io.georeference import GeoReference
from rsseg.mapping.change.classes import CommonClasses
from rsseg.mapping.change.grids import SIDE
from rsseg.mapping.reference import ReferenceLabels, whole_shift
from rsseg.metainfo import IGNORE

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["LabelsOnGrid", "most_frequent"]

_LABELS = 2048  # pixels of the map, or samples of it, along a window
_FEW, _MANY = 4, 64  # samples along a pixel at least and at most
_PARALLEL = 1e-3  # pixels of the map by which edges of the grid's pixels may be aslant
_WHOLE = 1e-6  # pixels of the map by which rounding moves an edge
_EQUAL = 1e-5  # share of a pixel; float32 is off by less

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]


class LabelsOnGrid:
    """Common class ids of one map on a grid; a context manager.

    Where both have the same pixels, or differ by whole ones, they are read as they are.  Otherwise a pixel of the grid
    takes the most frequent class of the ground that it covers, and none where more than half of that ground has none,
    see :func:`most_frequent`.  Where the pixels of both have parallel edges, shares of ground are exact.  Where they
    have not (rotation, another CRS), they are counted at samples: a regular 4 x 4 in each pixel at least, and as many
    as it covers pixels of the map, up to 64 x 64; one at its centre where the map is twice as coarse or more.  GDAL's
    own ``mode`` counts each pixel that it touches in full, which moves maps by up to a pixel.

    Args:
        path: The map.
        grid: The grid.
        classes: Common classes.
        side: Which of the two maps it is.

    Attributes:
        samples: Samples along a pixel of the grid; 1 where pixels are read as they are, None where shares are exact.
        side: Pixels of the grid along a window that :meth:`read` should be asked for at most.
    """

    def __init__(self, path: str, grid: GeoReference, classes: CommonClasses, side: int) -> None:
        self.path, self._classes, self._side = path, classes, side
        self.samples: int | None = None
        own = GeoReference.of(path)
        plain = grid.same_pixels(own) or whole_shift(grid, own) is not None
        ratio = 1.0 if plain else _ratio(grid, own)
        edges = None if plain or ratio > _LABELS else _edges(grid, own)
        if edges is None:
            self.samples = count = 1 if plain else _samples(ratio)
            own = grid if count == 1 else grid.scaled((grid.size[0] * count, grid.size[1] * count))
            edges = count * np.arange(grid.size[1] + 1.0), count * np.arange(grid.size[0] + 1.0)
        self._edges = edges
        self.side = max(1, min(SIDE, int(_LABELS / max(ratio, self.samples or 1))))
        self._labels = ReferenceLabels(path, own, any_type=True)

    def __enter__(self) -> LabelsOnGrid:
        return self

    def __exit__(self, *error: object) -> None:
        self._labels.__exit__(*error)

    def read(self, window: Window) -> Bytes:
        """(h, w) common class ids in a window of the grid, 255 for none.

        Raises:
            OSError: The map is damaged.
            DataError: A value is no class of the map.
        """
        x, y, width, height = map(int, window.flatten())
        columns, rows = self._edges[0][x : x + width + 1], self._edges[1][y : y + height + 1]
        left, top = math.floor(columns.min()), math.floor(rows.min())
        own = Window(left, top, math.ceil(columns.max()) - left, math.ceil(rows.max()) - top)
        values, labelled = self._labels.read(own)
        ids = self._classes.encode(self._side, values, self.path)
        ids[~labelled] = IGNORE
        return ids if self.samples == 1 else most_frequent(ids, columns - left, rows - top)


def _ratio(grid: GeoReference, own: GeoReference) -> float:
    """Pixels of a map along a pixel of the grid, in its middle."""
    column, row = grid.size[1] / 2, grid.size[0] / 2
    x, y = grid.pixels_in(own, [column, column + 1, column], [row, row, row + 1])
    steps = math.hypot(x[1] - x[0], y[1] - y[0]), math.hypot(x[2] - x[0], y[2] - y[0])
    return max(steps) if np.isfinite(steps).all() else 1.0


def _samples(ratio: float) -> int:
    """Samples along a pixel of the grid; the one at its centre where the map is coarser."""
    return 1 if ratio <= 0.5 else min(_FEW * math.ceil(ratio / _FEW), _MANY)


def _edges(grid: GeoReference, own: GeoReference) -> tuple[Floats, Floats] | None:
    """Edges of the grid's columns (W + 1,) and rows (H + 1,) in pixels of a map; None where they are not parallel."""
    if grid.crs != own.crs:
        return None
    height, width = grid.size
    columns = grid.pixels_in(own, np.arange(width + 1.0), np.zeros(width + 1))
    rows = grid.pixels_in(own, np.zeros(height + 1), np.arange(height + 1.0))
    if max(np.ptp(columns[1]), np.ptp(rows[0])) > _PARALLEL:
        return None
    return _snapped(columns[0]), _snapped(rows[1])


def _snapped(edges: Floats) -> Floats:
    """Positions of which those beside a whole number, as rounding puts them, are whole."""
    whole = np.rint(edges)
    return np.where(np.abs(edges - whole) <= _WHOLE, whole, edges)


def most_frequent(ids: Bytes, columns: Floats, rows: Floats) -> Bytes:
    """The class that covers most of each pixel of a grid.

    Args:
        ids: (h, w) class ids of a map, 255 for none.
        columns: (n + 1,) edges of the grid's columns in pixels of the map, from 0 to w, in either direction.
        rows: (m + 1,) edges of its rows.

    Returns:
        (m, n) class ids; of classes that cover as much, to a hundred-thousandth of a pixel, the lowest id; 255 where
        more than half of the pixel has none.
    """
    down, across = _overlaps(rows, ids.shape[0]), _overlaps(columns, ids.shape[1])
    out = np.full((len(rows) - 1, len(columns) - 1), IGNORE, np.uint8)
    best, known = np.zeros((2, *out.shape), np.float32)
    held = np.flatnonzero(np.bincount(ids.ravel(), minlength=256))
    for value in held[held != IGNORE].tolist():
        share = (across @ np.ascontiguousarray((down @ (ids == value).astype(np.float32)).T)).T
        more = share > best + _EQUAL
        out[more], best[more] = value, share[more]
        known += share
    out[known < 0.5 - _EQUAL] = IGNORE
    return out


def _overlaps(edges: Floats, count: int) -> csr_array:
    """(n, count): which share of each of n pixels lies in each pixel of a map."""
    from scipy.sparse import csr_array

    low, high = np.minimum(edges[:-1], edges[1:])[:, None], np.maximum(edges[:-1], edges[1:])[:, None]
    first = np.floor(low).astype(np.int64)
    places = first + np.arange(int((np.ceil(high) - first).max()))
    shares = np.clip(np.minimum(high, places + 1) - np.maximum(low, places), 0, None) / (high - low)
    parts = len(edges) - 1, places.shape[1]
    cells = shares.astype(np.float32).ravel(), np.minimum(places, count - 1).ravel(), parts[1] * np.arange(parts[0] + 1)
    return csr_array(cells, shape=(parts[0], count))
