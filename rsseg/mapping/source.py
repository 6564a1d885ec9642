"""Windows of a raster on the grid that the model wants, read by the one reader of :mod:`rsseg.io.rasters`."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from rsseg.errors import DataError, UnreadableFileError
from rsseg.io.addresses import Address, locate
from rsseg.io.bands import PixelSpec
from rsseg.io.georeference import GeoReference
from rsseg.io.moments import taken_at
from rsseg.io.rasters import Raster, lacks_mask
from rsseg.io.remote import may_ask, waits

__all__ = ["CACHE", "RasterSource"]

_log = logging.getLogger("rsseg")

CACHE = 32 << 20
"""Bytes of GDAL's cache for a file in tiles, and while maps are written (rasterio takes bytes, not MiB)."""

_CACHE_LIMIT = 1 << 30


class RasterSource:
    """A raster as the model sees it; used by one thread at a time.

    Args:
        path: A picture, or anything that GDAL opens.
        bands: Bands from 1 in the order red, green, blue (or as the model was trained); None as the file says.
        value_range: What becomes of values; see :class:`rsseg.io.bands.PixelSpec`.
        gsd: Metres per pixel to resample to; None keeps the file's grid.

    Attributes:
        size: (H, W) in pixels, after resampling.
        bands: Numbers from 1 of the bands that are read, red, green, blue first.
        georeference: Where it lies, after resampling.
        original: Where the pixels of the file lie.
        taken: When it was taken, as its STAC item or its metadata say it, or None.
        item: The STAC item that names it, or None.

    Raises:
        OSError: The file cannot be opened.
        DataError: Bands or value range are not known, or pixels have no size in metres to resample by.
    """

    def __init__(
        self,
        path: str,
        bands: Sequence[int] | None = None,
        value_range: tuple[float, float] | Literal["raw"] | None = None,
        gsd: float | None = None,
    ) -> None:
        self.path = path = locate(path)
        spec = PixelSpec(None if bands is None else tuple(bands), value_range)
        view = None if gsd is None else partial(self._resampled, gsd=gsd)
        self._open = partial(Raster, path, spec, view, blue_first=True)
        self._raster = self._open()
        self.size, self.bands = self._raster.size, list(self._raster.bands)
        item = path if isinstance(path, Address) else None
        self.taken = (item.taken if item is not None else "") or taken_at(self._raster.dataset)
        self.item = (item.item if item is not None else "") or None
        if gsd is None:
            self.georeference = self.original = GeoReference.of(self._raster.dataset)

    def cache_size(self, rows: int) -> int:
        """Bytes that GDAL's cache needs, so that windows of ``rows`` rows do not decode a block of the file twice."""
        if self._raster.decoded:
            return CACHE
        file = self._raster.dataset
        height, width = file.block_shapes[0]
        if width < file.width:  # tiles: neighbours need only a few
            return CACHE
        size = np.dtype(self._raster.dtypes[0]).itemsize * file.count
        return int(min(max(CACHE, 1.25 * (rows + 2 * height) * width * size), _CACHE_LIMIT))

    def read(self, x1: int, y1: int, x2: int, y2: int) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """Pixels and validity of a window.

        Returns:
            (C, h, w) blue, green, red for three bands (what mmseg's loader gives its models), else the bands as
            declared; uint8 as it is in the file, or float32.  And (h, w) bool, or None where all pixels are valid.

        Raises:
            OSError: The file is damaged; the message names it and the position.
        """
        pixels, valid = self._read_again(x1, y1, x2, y2)
        return (pixels if pixels.dtype == np.uint8 else pixels.astype(np.float32, copy=False)), valid

    def _read_again(self, x1: int, y1: int, x2: int, y2: int) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Read, again and again where a network fails; opened anew, GDAL forgets an answer that was cut short."""
        try:
            return self._raster.read(x1, y1, x2, y2)
        except UnreadableFileError as error:
            failure = error
        for pause in waits(self.path):
            _log.warning("%s; trying again in %g s", failure, pause)
            time.sleep(pause)
            try:
                self._raster.close()
                self._raster = self._open()
                return self._raster.read(x1, y1, x2, y2)
            except UnreadableFileError as error:
                failure = error
        if may_ask(self.path):
            raise UnreadableFileError(f"{failure}; the same command continues where it stopped") from failure
        raise failure

    def close(self) -> None:
        """Close the file."""
        self._raster.close()

    def _resampled(self, file: Any, gsd: float) -> WarpedVRT:
        """A view of the file in which a pixel measures ``gsd`` metres; a JPEG is decoded by GDAL here."""
        self.original = GeoReference.of(file)
        try:
            self.georeference = self.original.resampled(gsd)
        except DataError as error:
            raise DataError(f"{self.path}: {error}, or omit --gsd") from error
        method = Resampling.average if gsd > 1.01 * min(self.original.pixel_size) else Resampling.bilinear
        return self.georeference.view(file, method, add_alpha=lacks_mask(file))
