"""Reference labels on the pixels of a map, whatever grid they are on themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from rsseg.errors import DataError
from rsseg.io.addresses import locate
from rsseg.io.control_points import points_shift
from rsseg.io.damaged import reading
from rsseg.io.georeference import GeoReference
from rsseg.io.labels import checked_values
from rsseg.io.rasters import open_dataset
from rsseg.metainfo import IGNORE

__all__ = ["ReferenceLabels", "whole_shift"]

_ROWS, _SIDE = 256, 2048  # of windows on the labels' own pixels, and of others at most
_LABELS = 4096  # pixels of the labels along a window
_TOLERANCE = 1e-3  # pixels of the map
_WHOLE = 0.01  # pixels by which pixels of two grids may lie beside each other and be the same


class ReferenceLabels:
    """Class ids of a label file on the grid of a map; a context manager.

    Labels on another grid (extent, pixel size, direction of rows, rotation, CRS) are taken by nearest neighbour; where
    the grids differ by whole pixels only, they are read as they are.  Memory holds a window, of some million pixels of
    the labels at most, however much finer than the map they are.

    Args:
        path: A raster with one band of 8 bits.
        grid: Where the map lies.
        source: Where the raster lies that was mapped; labels on its pixels may lack a CRS or a transform.
        any_type: Also take bands of other types, whose values are checked as they are read.

    Raises:
        OSError: The labels cannot be opened.
        DataError: They are not one band of such numbers, or nothing relates the two.
    """

    def __init__(
        self, path: str, grid: GeoReference, source: GeoReference | None = None, any_type: bool = False
    ) -> None:
        path = locate(path)
        self.path, self._grid = path, grid
        self._file = open_dataset(path)
        try:
            self._alpha = ColorInterp.alpha in self._file.colorinterp
            count, dtype = self._file.count - self._alpha, self._file.dtypes[0]
            if "complex" in dtype or (dtype != "uint8" and not any_type):
                raise DataError(f"{path}: labels are {dtype}, not 8 bits")
            if count != 1:
                raise DataError(f"{path}: has {count} bands; expected one band of class ids")
            own = GeoReference.of(self._file)
            self._own = own = source if source is not None and source.same_pixels(own) else own
            self._shift = (0, 0) if grid.same_pixels(own) else whole_shift(grid, own)
            if self._shift is None:
                grid.check_related(own)
        except DataError as error:
            self._file.close()
            text = str(error)
            raise error if text.startswith(path) else DataError(f"{path}: {text}") from error
        self._side = _SIDE if self._shift is not None else _side(grid, own)

    def __enter__(self) -> ReferenceLabels:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def windows(self) -> Iterator[Window]:
        """Windows that cover the map, as large as memory allows."""
        height, width = self._grid.size
        down, across = (_ROWS, width) if self._shift is not None else (self._side, self._side)
        for y in range(0, height, down):
            for x in range(0, width, across):
                yield Window(x, y, min(across, width - x), min(down, height - y))

    def read(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Values (h, w) in a window of the map, 255 where there are none; and (h, w) where there are some.

        Raises:
            OSError: The labels are damaged.
            DataError: A value is not whole, or not from 0 to 255.
        """
        with reading(self.path, "is damaged"):
            if self._shift is not None:
                values, labelled = self._read_shifted(window, *self._shift)
            else:
                grid = self._grid.window(*window.flatten())
                plain = self._file.nodata is None and not self._alpha
                with grid.view(self._file, add_alpha=plain, tolerance=_TOLERANCE, source=self._own) as view:
                    values, labelled = view.read(1), view.dataset_mask() > 0
        if values.dtype != np.uint8:
            found = checked_values(values[labelled], self.path) if labelled.any() else np.empty(0, np.uint8)
            values = np.full(labelled.shape, IGNORE, np.uint8)
            values[labelled] = found
        values[~labelled] = IGNORE  # every table allows it
        return values, labelled

    def _read_shifted(self, window: Window, right: int, down: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """The labels' own pixels; beyond them nothing is labelled."""
        x, y, width, height = map(int, window.flatten())
        left, top = max(x + right, 0), max(y + down, 0)
        across, rows = min(x + right + width, self._file.width) - left, min(y + down + height, self._file.height) - top
        values, labelled = np.zeros((height, width), self._file.dtypes[0]), np.zeros((height, width), bool)
        if across > 0 and rows > 0:
            own, place = Window(left, top, across, rows), np.s_[top - y - down :, left - x - right :]
            values[place][:rows, :across] = self._file.read(1, window=own)
            labelled[place][:rows, :across] = self._file.dataset_mask(window=own) > 0
        return values, labelled


def whole_shift(grid: GeoReference, other: GeoReference) -> tuple[int, int] | None:
    """Columns and rows from pixels of a grid to the same pixels of another one; None where no pixels are the same."""
    if grid.crs != other.crs:
        return None
    if grid.affine is None or other.affine is None:
        return points_shift(grid.gcps, other.gcps)
    height, width = grid.size
    columns, rows = np.array([0, width, 0, width]), np.array([0, 0, height, height])
    x, y = grid.pixels_in(other, columns, rows)
    shift = round(float(x[0])), round(float(y[0]))
    off = np.abs(np.stack([x - columns - shift[0], y - rows - shift[1]])).max()
    return shift if off <= _WHOLE else None


def _side(grid: GeoReference, labels: GeoReference) -> int:
    """Side of windows on a map so that GDAL reads no more of the labels at once than it should."""
    column, row = grid.size[1] / 2, grid.size[0] / 2
    x, y = grid.pixels_in(labels, [column, column + 1, column], [row, row, row + 1])
    finer = max(float(np.ptp(x)), float(np.ptp(y)))
    return min(_SIDE, max(1, int(_LABELS / finer))) if np.isfinite(finer) and finer > 0 else _ROWS
