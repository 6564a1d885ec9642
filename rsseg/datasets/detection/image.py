"""Image files as 8-bit RGB arrays, and their sizes without decoding.

Pillow decodes PNG, JPEG and BMP; rasterio decodes TIFF and 16-bit PNG (which Pillow would cut to 8 bits in
silence).  EXIF orientation is never applied: boxes refer to the pixels as stored.
"""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import BmpImagePlugin, ImageFile, JpegImagePlugin, PngImagePlugin
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from rsseg.datasets.detection.values import AnnotationError
from rsseg.errors import ConfigError

__all__ = ["image_size", "read_image"]

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# The plugin classes themselves: Image.open would refuse rasters above its process-wide pixel limit.
_PILLOW: dict[bytes, Callable[[Path], ImageFile.ImageFile]] = {
    b"\x89PNG": PngImagePlugin.PngImageFile,
    b"\xff\xd8": JpegImagePlugin.JpegImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
}
_BROKEN = (
    OSError,
    SyntaxError,
    OverflowError,
    MemoryError,
    ValueError,
    TypeError,
    IndexError,
    EOFError,
    struct.error,
    zlib.error,
    RasterioError,
)
_PNG_DEPTH = 24
"""Offset of the bit depth in a PNG file."""
_STRETCH = (2.0, 98.0)
_SAMPLES = 4_000_000
"""Pixels that the percentiles of a large image are taken from."""


def image_size(path: Path | str) -> tuple[int, int]:
    """(H, W) in pixels, from the header alone.

    Raises:
        AnnotationError: No PNG, JPEG, BMP or TIFF, or its header is broken.
        FileNotFoundError: There is no such file.
    """
    path = Path(path)
    with _readable(path):
        if _head(path).startswith(_TIFF):
            with rasterio.open(path) as raster:
                return int(raster.height), int(raster.width)
        with _open(path) as image:
            return image.height, image.width


def read_image(path: Path | str, mode: Literal["strict", "convert"] = "strict") -> NDArray[np.uint8]:
    """The pixels of an image file.

    Args:
        path: PNG, JPEG, BMP or TIFF; 8-bit RGB unless ``mode`` is ``"convert"``.
        mode: ``"strict"`` refuses everything but 8-bit RGB.  ``"convert"`` drops alpha and bands after the
            third, repeats a single band, looks up palettes, and stretches any other number type from the
            2nd-98th percentile (of this image, over the bands it keeps) to 0..255.

    Returns:
        (H, W, 3) uint8, RGB, contiguous.

    Raises:
        AnnotationError: The file is broken or cut short, or ``mode`` is ``"strict"`` and it is not 8-bit RGB.
        FileNotFoundError: There is no such file.
        ValueError: ``mode`` is no such word.
    """
    if mode not in ("strict", "convert"):
        raise ConfigError(f"mode must be 'strict' or 'convert', not {mode!r}")
    path = Path(path)
    with _readable(path):
        head = _head(path)
        deep = head[:4] == b"\x89PNG" and head[_PNG_DEPTH : _PNG_DEPTH + 1] == b"\x10"
        if deep or head.startswith(_TIFF):
            return _read_raster(path, mode)
        with _open(path) as image:
            if image.mode != "RGB":
                _refuse(path, mode, image.mode)
            image.load()
            return np.array(image.convert("RGB"), dtype=np.uint8)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_PNG_DEPTH + 1)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what decoders raise on bad files into :class:`AnnotationError`, and keep them quiet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            yield
    except (AnnotationError, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except _BROKEN as error:
        why = (isinstance(error, RasterioError) and error.__cause__) or error  # what GDAL said is only in the cause
        reason = f"image is broken or cut short, replace the file ({why})"
        raise AnnotationError(path, None, path.name, reason) from error


def _open(path: Path) -> ImageFile.ImageFile:
    head = _head(path)
    for magic, opener in _PILLOW.items():
        if head.startswith(magic):
            return opener(path)
    raise AnnotationError(path, None, path.name, "image must be a PNG, JPEG, BMP or TIFF file")


def _refuse(path: Path, mode: str, value: str) -> None:
    if mode == "strict":
        reason = "image must be 8-bit RGB (mode='convert' would accept this one and convert it)"
        raise AnnotationError(path, None, value, reason)


def _read_raster(path: Path, mode: str) -> NDArray[np.uint8]:
    with rasterio.open(path) as raster:
        kinds = raster.colorinterp
        palette = kinds[0] == ColorInterp.palette
        if palette or raster.count != 3 or set(raster.dtypes) != {"uint8"}:
            colours = "palette" if palette else f"{raster.count} band(s)"
            _refuse(path, mode, f"{colours} of {'/'.join(dict.fromkeys(raster.dtypes))}")
        if palette:
            table = np.zeros((256, 3), np.uint8)
            for index, colour in raster.colormap(1).items():
                table[index] = colour[:3]
            return table[raster.read(1)]
        bands = [1, 2, 3] if raster.count >= 3 else [1]
        rgb = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        if all(kinds.count(kind) == 1 for kind in rgb):
            bands = [kinds.index(kind) + 1 for kind in rgb]
        pixels = np.moveaxis(raster.read(bands), 0, -1)
    if pixels.dtype != np.uint8:
        pixels = _stretch(pixels)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def _stretch(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """(H, W, B) of any number type -> uint8, the 2nd-98th percentile of all finite values going to 0..255."""
    step = max(1, math.isqrt(pixels.shape[0] * pixels.shape[1] // _SAMPLES))
    sample = pixels[::step, ::step].astype(np.float64)
    finite = sample[np.isfinite(sample)]
    low, high = (float(v) for v in np.percentile(finite, _STRETCH)) if finite.size else (0.0, 0.0)
    scale = 255 / (high - low) if high > low else 0.0
    stretched = (np.nan_to_num(pixels.astype(np.float32), nan=low, posinf=high, neginf=low) - low) * scale
    return np.clip(np.round(stretched), 0, 255).astype(np.uint8)
