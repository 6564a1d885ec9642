"""Label files: one class value per pixel, exactly as stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, PngImagePlugin
from rasterio.enums import ColorInterp

from rsseg.errors import DataError
from rsseg.io.damaged import reading
from rsseg.io.limits import check_pixels
from rsseg.io.pictures import PictureHeader, decode_picture, read_header
from rsseg.io.rasters import Pixels, open_dataset, opened, read_stored, stored_in_blocks

__all__ = ["checked_values", "open_labels", "read_labels", "read_values"]

_LARGEST = 255


def read_labels(path: str | Path) -> NDArray[np.uint8]:
    """Values (H, W) uint8 of a label file, as they are stored; palette images keep their indices.

    Numbers of any other real type are read as well, where all are whole and from 0 to 255.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableFileError: It is damaged, or in no known format.
        DataError: It has several bands, complex numbers, or a value that is not from 0 to 255.
    """
    return checked_values(read_values(path), path)


def checked_values(values: Pixels, path: str | Path) -> NDArray[np.uint8]:
    """Values of a label file as uint8, see :func:`read_labels`.

    Raises:
        DataError: A value is not whole, or not from 0 to 255.
    """
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
        _check_band(file, path)
        return read_stored(file, 1)


def open_labels(path: str | Path) -> Any | None:
    """The dataset of a label file of which a part can be read without the whole; None for all others.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableFileError: It is damaged, or in no known format.
        DataError: It has several bands, or complex numbers.
    """
    if read_header(path) is not None:
        return None
    file = open_dataset(path)
    try:
        _check_band(file, path)
    except DataError:
        file.close()
        raise
    if stored_in_blocks(file):
        return file
    file.close()
    return None


def _check_band(file: Any, path: str | Path) -> None:
    if file.count > 1:
        raise _several(path, [colour.name for colour in file.colorinterp])
    if "complex" in file.dtypes[0]:
        raise DataError(f"{path}: holds complex numbers ({file.dtypes[0]}); labels must be whole numbers")


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
