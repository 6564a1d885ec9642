"""Reading windows of any raster that GDAL reads, with the bands, values and grid the model wants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import RasterioIOError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from rsseg.errors import DataError
from rsseg.io.georeference import GeoReference

__all__ = ["CACHE", "RasterSource", "choose_bands"]

_COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
CACHE = 32 << 20
"""Bytes of GDAL's cache for a file in tiles, and while maps are written (rasterio takes bytes, not MiB)."""

_CACHE_LIMIT = 1 << 30


def choose_bands(colours: Sequence[ColorInterp], told: Sequence[int] | None, where: str) -> list[int]:
    """Numbers (from 1) of the bands that a model gets, red, green, blue first.

    Args:
        colours: What the file says about each of its bands.
        told: The user's choice; None takes the bands that the file itself calls red, green and blue.
        where: The file, for errors.

    Raises:
        ValueError: A band is not there, or nobody says which bands are which colour.
    """
    if told is not None:
        wrong = [band for band in told if not 1 <= band <= len(colours)]
        if wrong:
            raise DataError(f"{where}: has {len(colours)} bands, --bands asks for band {wrong[0]}")
        return list(told)
    found = [[i for i, colour in enumerate(colours, start=1) if colour == wanted] for wanted in _COLOURS]
    if any(len(numbers) != 1 for numbers in found):
        if list(colours) == [ColorInterp.palette]:
            raise DataError(f"{where}: holds numbers of colours, not colours; gdal_translate -expand rgb makes a copy "
                             "with colours")  # fmt: skip
        names = ", ".join(colour.name for colour in colours)
        how = ", red first, for example --bands 3,2,1" if len(colours) > 2 else ", for a grey one --bands 1,1,1"
        raise DataError(
            f"{where}: does not say which of its bands are red, green and blue ({names}); say it with --bands{how}"
        )
    return [numbers[0] for numbers in found]


class RasterSource:
    """A raster as the model sees it; used by one thread at a time.

    Args:
        path: Anything that GDAL opens.
        bands: Bands from 1 in the order red, green, blue (or as the model was trained); None as the file says.
        value_range: (low, high) values that become 0 and 255; needed for anything but 8 bits.  Beyond, values are cut.
        gsd: Metres per pixel to resample to; None keeps the file's grid.

    Attributes:
        size: (H, W) in pixels, after resampling.
        georeference: Where it lies, after resampling.

    Raises:
        OSError: GDAL cannot open the file.
        ValueError: Bands or value range are not known, or pixels have no size in metres to resample by.
    """

    def __init__(
        self,
        path: str,
        bands: Sequence[int] | None = None,
        value_range: tuple[float, float] | None = None,
        gsd: float | None = None,
    ) -> None:
        self.path, self._range = path, value_range
        try:
            self._file = rasterio.open(path)
        except RasterioIOError as error:
            raise OSError(f"{path}: not a raster that GDAL can open ({error})") from error
        if not self._file.count:
            raise DataError(f"{path}: has no bands of its own; name one of {', '.join(self._file.subdatasets[:4])}")
        self.bands = choose_bands(self._file.colorinterp, bands, path)
        dtypes = {self._file.dtypes[band - 1] for band in self.bands}
        self._mixed = np.result_type(*dtypes) if len(dtypes) > 1 else None
        if dtypes != {"uint8"} and value_range is None:
            raise DataError(
                f"{path}: holds {', '.join(sorted(dtypes))}, not 8 bits; say which values are black and white, "
                "for example --range 0,3000 (--range 0,255 for values as the model expects them)"
            )
        self._data: Any = self._file
        self.georeference = GeoReference.of(self._file)
        if gsd is not None:
            self._data, self.georeference = _resampled(self._file, gsd, path)
        self.size = self.georeference.size
        flags = self._file.mask_flag_enums
        self._opaque = gsd is None and all(MaskFlags.all_valid in flags[band - 1] for band in self.bands)
        self._alpha = next((i for i, c in enumerate(self._data.colorinterp, 1) if c == ColorInterp.alpha), None)

    def cache_size(self, rows: int) -> int:
        """Bytes that GDAL's cache needs, so that windows of ``rows`` rows do not decode a block of the file twice."""
        height, width = self._file.block_shapes[0]
        if width < self._file.width:  # tiles: neighbours need only a few
            return CACHE
        size = np.dtype(self._file.dtypes[0]).itemsize * self._file.count
        return int(min(max(CACHE, 1.25 * (rows + 2 * height) * width * size), _CACHE_LIMIT))

    def read(self, x1: int, y1: int, x2: int, y2: int) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """Pixels and validity of a window.

        Returns:
            (C, h, w) blue, green, red for three bands (what mmseg's loader gives its models), else the bands as told;
            uint8 as it is in the file, or float32 in 0..255.  And (h, w) bool, or None where all pixels are valid:
            nodata values, alpha, masks and NaN are not.

        Raises:
            OSError: The file is damaged; the message names it and the place.
        """
        window = Window(x1, y1, x2 - x1, y2 - y1)
        order = self.bands[::-1] if len(self.bands) == 3 else self.bands
        try:
            pixels = self._pixels(order, window)
            valid = None if self._opaque else self._valid(pixels, order, window)
        except RasterioIOError as error:
            raise OSError(
                f"{self.path}: cannot be read at columns {x1}..{x2}, rows {y1}..{y2}: {error.__cause__ or error}"
            ) from error
        if pixels.dtype.kind == "f":
            finite = np.isfinite(pixels).all(axis=0)
            if not finite.all():
                valid = finite if valid is None else valid & finite
                pixels = np.where(np.isfinite(pixels), pixels, 0)
        if self._range is not None:
            low, high = self._range
            pixels = np.clip((pixels.astype(np.float32) - low) * (255 / (high - low)), 0, 255).astype(np.float32)
        return pixels, None if valid is None or valid.all() else valid

    def _pixels(self, order: Sequence[int], window: Window) -> NDArray[np.generic]:
        if self._mixed is None:
            return self._data.read(order, window=window)
        return np.stack([self._data.read(band, window=window).astype(self._mixed) for band in order])

    def _valid(self, pixels: NDArray[np.generic], order: Sequence[int], window: Window) -> NDArray[np.bool_]:
        """Validity (h, w) by all that the file has: GDAL itself lets a mask or alpha hide nodata values.

        A pixel of integers is invalid where all bands have the nodata value, as black may be a colour; one of floats
        where any has.
        """
        valid = self._data.dataset_mask(window=window) > 0
        if MaskFlags.per_dataset in self._data.mask_flag_enums[order[0] - 1]:
            valid &= self._data.read_masks(order[0], window=window) > 0
        if self._alpha is not None:
            valid &= self._data.read(self._alpha, window=window) > 0
        values = [self._data.nodatavals[band - 1] for band in order]
        if None not in values:
            empty = np.stack([band == value for band, value in zip(pixels, values, strict=True)])
            valid &= ~(empty.any(axis=0) if pixels.dtype.kind == "f" else empty.all(axis=0))
        return valid

    def close(self) -> None:
        """Close the file."""
        if self._data is not self._file:
            self._data.close()
        self._file.close()


def _resampled(file: Any, gsd: float, path: str) -> tuple[WarpedVRT, GeoReference]:
    georeference = GeoReference.of(file)
    try:
        grid = georeference.resampled(gsd)
    except DataError as error:
        raise DataError(f"{path}: {error}, or leave --gsd away") from error
    way = Resampling.average if gsd > 1.01 * min(georeference.pixel_size) else Resampling.bilinear
    plain = all(MaskFlags.all_valid in flags for flags in file.mask_flag_enums)
    masked = any(MaskFlags.nodata in flags or MaskFlags.alpha in flags for flags in file.mask_flag_enums)
    return grid.view(file, way, add_alpha=plain or not masked), grid
