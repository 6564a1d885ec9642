"""What of an image goes into tiles, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from rsseg.errors import DataError
from rsseg.io.bands import RAW, PixelSpec, alpha_band, choose_bands, refuse_complex
from rsseg.io.description import describe_raster
from rsseg.io.rasters import Raster, open_dataset, read_stored
from rsseg.io.rgb import palette_of
from rsseg.io.tile_files import encode_image, encode_indices

__all__ = ["TileSource"]


class TileSource:
    """What of an image goes into its tiles: palette indices, or one grey band or red, green, blue, perhaps with alpha.

    Alpha is the file's own; where a file marks pixels as not valid by other means (nodata, masks, NaN), tiles that have
    such pixels get an alpha band, 0 there, so that whoever reads the tiles sees the same.

    Args:
        path: The image.
        spec: What is declared about its pixels.

    Raises:
        UnreadableFileError: The file is damaged or missing.
        DataError: It may not be read, or its colours or the meaning of its numbers are not known.
    """

    def __init__(self, path: Path, spec: PixelSpec) -> None:
        try:
            found = describe_raster(path)
        except PermissionError as error:
            raise DataError(f"{path}: file cannot be read ({error.strerror})") from error
        refuse_complex(found.dtypes, str(path))
        self.size, self.palette = found.size, None
        self._file: Any = None
        if "palette" in found.colours and spec.bands is None:
            self._file = open_dataset(path)
            self.palette = palette_of(self._file, path)
            return
        bands, alpha = _bands_of_tiles(found.colours, spec, str(path))
        kinds = {found.dtypes[band - 1] for band in bands}
        stored = spec.value_range is None and kinds in ({"uint8"}, {"uint16"})  # which tiles hold as they are
        copied = stored and found.masked == ("alpha",) and bool(alpha)  # with all degrees of transparency
        self._own_alpha = bool(alpha)
        self._adds_alpha = not copied and bool(found.masked or any(kind.startswith("float") for kind in kinds))
        ends = RAW if stored and kinds == {"uint16"} else spec.value_range  # the reader refuses less than 8 bits
        self._raster = Raster(path, PixelSpec((*bands, *alpha) if copied else bands, ends))

    def read(self, top: int, bottom: int) -> NDArray[Any]:
        """Rows (bottom - top, W) or (bottom - top, W, 2 to 4), uint8 or uint16."""
        width = self.size[1]
        if self._file is not None:
            return read_stored(self._file, 1, Window(0, top, width, bottom - top))
        pixels, valid = self._raster.read(0, top, width, bottom)
        if pixels.dtype not in (np.uint8, np.uint16):
            pixels = np.rint(pixels if valid is None else np.where(valid, pixels, 0)).astype(np.uint8)
        if self._adds_alpha:
            opaque = np.ones(pixels.shape[1:], bool) if valid is None else valid
            full = np.iinfo(pixels.dtype).max
            pixels = np.concatenate([pixels, np.where(opaque, full, 0).astype(pixels.dtype)[None]])
        return pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)

    def encode(self, pixels: NDArray[Any], tile_format: str) -> bytes:
        """The file of a tile."""
        if self.palette is None:
            if self._adds_alpha and not self._own_alpha and pixels[..., -1].all():
                pixels = pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :-1]
            return encode_image(np.ascontiguousarray(pixels), tile_format)
        return encode_indices(np.ascontiguousarray(pixels), self.palette, tile_format)

    def close(self) -> None:
        """Close the file."""
        (self._raster if self._file is None else self._file).close()


def _bands_of_tiles(colours: Sequence[str], spec: PixelSpec, where: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Numbers of the bands of a tile, and of its alpha band: one, or none."""
    if spec.bands is None and len(colours) == 1:
        return (1,), ()
    kinds = [ColorInterp[name] for name in colours]
    bands = choose_bands(kinds, spec, where)
    alpha = alpha_band(kinds, bands)
    return bands, () if alpha is None else (alpha,)
