"""Any image as 8-bit RGB, where that was asked for: for pictures to look at, and for sets of mixed files.

Nothing here is for what a model is trained on without being asked: see :mod:`rsseg.io.bands` for that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from rsseg.errors import DataError
from rsseg.io.bands import RAW, PixelSpec, choose_bands, percentile_range
from rsseg.io.description import describe_raster
from rsseg.io.rasters import opened, read_image, read_stored

__all__ = ["convert_to_rgb", "palette_of", "read_palette", "stretch_values"]


_NOT_LIGHT = {"cyan", "hue", "Y"}
"""First bands of CMYK, HSL and YCbCr."""


def convert_to_rgb(path: str | Path) -> NDArray[np.uint8]:
    """An image as 8-bit RGB: colours as the file says, else its first three bands, or the first one three times.

    Palettes are looked up, alpha is dropped, and numbers of other types than uint8 go from the 2nd-98th percentile of
    the valid pixels of this image, over the bands that are kept, to 0..255; pixels that are not valid become black.

    Args:
        path: A picture, or anything that GDAL opens.

    Returns:
        (H, W, 3) uint8, contiguous.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableFileError: It is damaged, or in no known format.
        DataError: It holds complex numbers, or the inks of print.
    """
    found = describe_raster(path)
    if "palette" in found.colours:
        indices, colours = read_palette(path)
        return np.ascontiguousarray(colours[indices])
    spec = PixelSpec(_bands(found.colours, str(path)), RAW)
    pixels, valid = read_image(path, spec)
    if pixels.dtype != np.uint8:
        low, high = percentile_range(np.moveaxis(pixels, -1, 0), valid)
        pixels = stretch_values(pixels if valid is None else np.where(valid[..., None], pixels, low), low, high)
    return pixels


def _bands(colours: tuple[str, ...], where: str) -> tuple[int, ...]:
    kinds = [ColorInterp[name] for name in colours]
    if _NOT_LIGHT & set(colours):
        raise DataError(f"{where}: its bands are {', '.join(colours)}; convert it to red, green and blue first")
    try:
        return choose_bands(kinds, PixelSpec(repeat_grey=True), where)
    except DataError:
        data = [i for i, kind in enumerate(kinds, start=1) if kind != ColorInterp.alpha]
        return tuple(data[:3]) if len(data) >= 3 else (data[0],) * 3


def stretch_values(pixels: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Real numbers as bytes: ``low`` becomes 0, ``high`` 255, beyond is cut; all 0 where the two are equal."""
    scale = 255 / (high - low) if high > low else 0.0
    return np.clip(np.round((pixels.astype(np.float32) - np.float32(low)) * scale), 0, 255).astype(np.uint8)


def read_palette(path: str | Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Indices and colours of a palette image.

    Returns:
        (H, W) uint8 indices, and (256, 3) uint8 RGB, black where the file has no colour.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableFileError: It is damaged, or in no known format.
        DataError: It is no palette image of 8 bits.
    """
    with opened(path) as file:
        return read_stored(file, 1), palette_of(file, path)


def palette_of(file: Any, path: str | Path) -> NDArray[np.uint8]:
    """Colours (256, 3) uint8 RGB of an open palette image, black where it has none.

    Raises:
        DataError: It is no palette image of 8 bits.
    """
    if file.colorinterp[0] != ColorInterp.palette or file.dtypes[0] != "uint8":
        raise DataError(f"{path}: is not a palette image of up to 256 colours")
    colours = np.zeros((256, 3), np.uint8)
    for index, colour in file.colormap(1).items():
        if index < len(colours):
            colours[index] = colour[:3]
    return colours
