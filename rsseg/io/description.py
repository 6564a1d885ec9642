"""What a file says about its pixels, in words: for the reports of checks, and for choosing what to declare."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.enums import ColorInterp, MaskFlags

from rsseg.io.bands import PixelSpec
from rsseg.io.pictures import read_header
from rsseg.io.rasters import Raster, opened
from rsseg.io.tiff import read_tags

__all__ = ["RasterDescription", "describe_raster"]

_PHOTOMETRIC_TAG = 262
_PHOTOMETRIC = ("miniswhite", "minisblack", "rgb", "palette", "mask", "separated (CMYK)", "ycbcr", "", "cielab")
_ROWS = 1 << 24
"""Numbers that are read at once where pixels are counted."""


@dataclass(frozen=True)
class RasterDescription:
    """What a file says about its pixels.

    Attributes:
        size: (H, W) in pixels.
        dtypes: Type of each band, as rasterio names it.
        colours: What each band is: ``red``, ``gray``, ``alpha``, ``undefined`` ...
        photometric: Photometric interpretation of a TIFF, such as ``rgb`` or ``minisblack``; None elsewhere.
        nodata: Nodata value of each band, None where it has none.
        masked: What marks pixels as not valid, of ``nodata``, ``alpha`` and ``mask``.
        nodata_share: Share of pixels that are not valid; None where it was not asked for.
    """

    size: tuple[int, int]
    dtypes: tuple[str, ...]
    colours: tuple[str, ...]
    photometric: str | None
    nodata: tuple[float | None, ...]
    masked: tuple[str, ...]
    nodata_share: float | None = None

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.dtypes)

    def __str__(self) -> str:
        kinds = "/".join(dict.fromkeys(self.dtypes))
        parts = [f"{len(self.dtypes)} band(s) of {kinds} ({', '.join(self.colours)})"]
        if self.photometric:
            parts.append(f"photometric {self.photometric}")
        values = list(dict.fromkeys(f"{value:g}" for value in self.nodata if value is not None))
        if values:
            parts.append(f"nodata {', '.join(values)}")
        parts += [f"{word} band" for word in self.masked if word != "nodata"]
        if self.nodata_share is not None:
            parts.append(f"{100 * self.nodata_share:.2f} % of the pixels not valid")
        return ", ".join(parts)


def describe_raster(path: str | Path, share: bool = False) -> RasterDescription:
    """What a picture or raster says about its pixels; files that :class:`rsseg.io.rasters.Raster` refuses as well.

    Args:
        path: A picture, or anything that GDAL opens.
        share: Read all pixels and count those that are not valid; palettes and complex numbers are not counted.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableFileError: It is damaged, or in no known format.
    """
    header = read_header(path)
    if header is None:
        with opened(path) as file:
            found = _of_dataset(file, path)
    else:
        count, masked = len(header.colours), ("alpha",) * (ColorInterp.alpha in header.colours)
        names = tuple(colour.name for colour in header.colours)
        found = RasterDescription(header.size, (header.dtype,) * count, names, None, (None,) * count, masked)
    plain = "palette" not in found.colours and "cyan" not in found.colours
    if share and plain and not any("complex" in name for name in found.dtypes):
        return replace(found, nodata_share=_share(path, found))
    return found


def _of_dataset(file: Any, path: str | Path) -> RasterDescription:
    flags = {flag for band in file.mask_flag_enums for flag in band}
    masked = [] if all(value is None for value in file.nodatavals) else ["nodata"]
    masked += ["alpha"] * (ColorInterp.alpha in file.colorinterp)
    masked += ["mask"] * (MaskFlags.per_dataset in flags and not flags & {MaskFlags.alpha, MaskFlags.nodata})
    return RasterDescription(
        size=(file.height, file.width),
        dtypes=tuple(file.dtypes),
        colours=tuple(colour.name for colour in file.colorinterp),
        photometric=_photometric(path),
        nodata=tuple(file.nodatavals),
        masked=tuple(masked),
    )


def _share(path: str | Path, found: RasterDescription) -> float:
    """Share of pixels that are not valid by all bands but alpha."""
    height, width = found.size
    bands = tuple(i for i, name in enumerate(found.colours, start=1) if name != "alpha")
    rows = max(1, _ROWS // (width * len(bands)))
    missing = 0
    with Raster(path, PixelSpec(bands, "raw")) as raster:
        for y in range(0, height, rows):
            valid = raster.read(0, y, width, min(y + rows, height))[1]
            missing += 0 if valid is None else int(np.count_nonzero(~valid))
    return missing / (height * width)


def _photometric(path: str | Path) -> str | None:
    """What the numbers of a TIFF mean, which rasterio does not tell."""
    tag = read_tags(path).get(_PHOTOMETRIC_TAG)
    if tag is None:
        return None
    return (_PHOTOMETRIC[tag.first] if tag.first < len(_PHOTOMETRIC) else "") or str(tag.first)
