"""Reference labels on the pixels of a map, whatever grid they are on themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from rsseg.errors import DataError
from rsseg.io.damaged import reading
from rsseg.io.georeference import GeoReference
from rsseg.io.rasters import open_dataset
from rsseg.metainfo import IGNORE

__all__ = ["ReferenceLabels"]

_ROWS, _SIDE = 256, 2048  # of windows on the labels' own pixels, and of others at most
_LABELS = 4096  # pixels of the labels along a window
_TOLERANCE = 1e-3  # pixels of the map


class ReferenceLabels:
    """Class ids of a label file on the grid of a map; a context manager.

    Labels on another grid (extent, pixel size, direction of rows, rotation, CRS) are taken by nearest neighbour.
    Memory holds a window, of some million pixels of the labels at most, however much finer than the map they are.

    Args:
        path: A raster with one band of 8 bits.
        grid: Where the map lies.
        source: Where the raster lies that was mapped; labels on its pixels may lack a CRS or a transform.

    Raises:
        OSError: The labels cannot be opened.
        DataError: They are not one band of 8 bits, or nothing relates the two.
    """

    def __init__(self, path: str, grid: GeoReference, source: GeoReference | None = None) -> None:
        self.path, self._grid = path, grid
        self._file = open_dataset(path)
        try:
            self._alpha = ColorInterp.alpha in self._file.colorinterp
            count, dtype = self._file.count - self._alpha, self._file.dtypes[0]
            if dtype != "uint8" or count != 1:
                raise DataError(f"{path}: labels are {dtype}, not 8 bits" if dtype != "uint8" else
                                f"{path}: has {count} bands; expected one band of class ids")  # fmt: skip
            own = GeoReference.of(self._file)
            self._own = own = source if source is not None and source.same_pixels(own) else own
            self._same = grid.same_pixels(own)
            if not self._same:
                grid.check_related(own)
        except DataError as error:
            self._file.close()
            text = str(error)
            raise error if text.startswith(path) else DataError(f"{path}: {text}") from error
        self._side = _SIDE if self._same else _side(grid, own)

    def __enter__(self) -> ReferenceLabels:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def windows(self) -> Iterator[Window]:
        """Windows that cover the map, as large as memory allows."""
        height, width = self._grid.size
        down, across = (_ROWS, width) if self._same else (self._side, self._side)
        for y in range(0, height, down):
            for x in range(0, width, across):
                yield Window(x, y, min(across, width - x), min(down, height - y))

    def read(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Values (h, w) in a window of the map, 255 where there are none; and (h, w) where there are some.

        Raises:
            OSError: The labels are damaged.
        """
        with reading(self.path, "is damaged"):
            if self._same:
                values, labelled = self._read(self._file, window)
            else:
                grid = self._grid.window(*window.flatten())
                plain = self._file.nodata is None and not self._alpha
                with grid.view(self._file, add_alpha=plain, tolerance=_TOLERANCE, source=self._own) as view:
                    values, labelled = self._read(view, None)
        values[~labelled] = IGNORE  # every table allows it
        return values, labelled

    @staticmethod
    def _read(file: Any, window: Window | None) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        return file.read(1, window=window), file.dataset_mask(window=window) > 0


def _side(grid: GeoReference, labels: GeoReference) -> int:
    """Side of windows on a map so that GDAL reads no more of the labels at once than it should."""
    column, row = grid.size[1] / 2, grid.size[0] / 2
    x, y = grid.pixels_in(labels, [column, column + 1, column], [row, row, row + 1])
    finer = max(float(np.ptp(x)), float(np.ptp(y)))
    return min(_SIDE, max(1, int(_LABELS / finer))) if np.isfinite(finer) and finer > 0 else _ROWS
