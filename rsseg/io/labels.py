"""Label files: one class value per pixel, exactly as stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, PngImagePlugin
from rasterio.enums import ColorInterp

from rsseg.errors import DataError
from rsseg.io.damaged import reading
from rsseg.io.limits import check_pixels
from rsseg.io.pictures import PictureHeader, decode_picture, read_header
from rsseg.io.rasters import Pixels, opened, read_stored

__all__ = ["read_labels", "read_values"]

_LARGEST = 255


def read_labels(path: str | Path) -> NDArray[np.uint8]:
    """Values (H, W) uint8 of a label file, as they are stored; palette images keep their indices.

    Numbers of any other real type are read as well, where all are whole and from 0 to 255.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableFileError: It is damaged, or in no known format.
        DataError: It has several bands, complex numbers, or a value that is not from 0 to 255.
    """
    values = read_values(path)
    if values.dtype == np.uint8:
        return values
    low, high = values.min(), values.max()
    whole = values.dtype.kind != "f" or bool((values == np.round(values)).all())  # NaN is not whole
    if not (whole and low >= 0 and high <= _LARGEST):
        raise DataError(
            f"{path}: holds {values.dtype} values from {low:g} to {high:g}; labels must be whole numbers from 0 to 255"
        )
    return values.astype(np.uint8)


def read_values(path: str | Path) -> Pixels:
    """Values (H, W) of a file with one band, in the type in which they are stored.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableFileError: It is damaged, or in no known format.
        DataError: It has several bands, or complex numbers.
    """
    header = read_header(path)
    if header is not None:
        if len(header.colours) > 1 and header.transparent is None:
            raise _several(path, [colour.name for colour in header.colours])
        return _picture_values(path, header)
    with opened(path) as file:
        if file.count > 1:
            raise _several(path, [colour.name for colour in file.colorinterp])
        if "complex" in file.dtypes[0]:
            raise DataError(f"{path}: holds complex numbers ({file.dtypes[0]}); labels must be whole numbers")
        return read_stored(file, 1)


def _several(path: str | Path, colours: list[str]) -> DataError:
    found = f"{len(colours)} bands ({', '.join(colours)})"
    return DataError(f"{path}: has {found}; labels must be one band with a class value in each pixel")


def _picture_values(path: str | Path, header: PictureHeader) -> Pixels:
    check_pixels(header.size, path)
    if ColorInterp.palette in header.colours:  # OpenCV gives the colours, not the indices
        opener = PngImagePlugin.PngImageFile if header.kind == "PNG" else BmpImagePlugin.BmpImageFile
        with reading(path, "the label file is broken or cut short"), opener(path) as image:
            return np.array(image)
    values = np.ascontiguousarray(decode_picture(path, header).pixels[..., 0])
    # A PNG of fewer bits is decoded with its largest number as 255
    return values if header.bits >= 8 else values // (_LARGEST // (2**header.bits - 1))
