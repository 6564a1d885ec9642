"""Images of detection labels as 8-bit RGB, by the one reader; what is wrong with a file is a problem of the set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rsseg.errors import AnnotationError, ConfigError, DataError, UnreadableFileError
from rsseg.io import rasters
from rsseg.io.bands import PixelSpec
from rsseg.io.description import describe_raster
from rsseg.io.rgb import convert_to_rgb

__all__ = ["image_size", "read_image"]


def image_size(path: Path | str) -> tuple[int, int]:
    """(H, W) in pixels, from the header alone.

    Raises:
        AnnotationError: It is no image, or its header is broken.
        FileNotFoundError: There is no such file.
    """
    with _as_problem(path, ""):
        return rasters.image_size(path)


def read_image(
    path: Path | str, mode: Literal["strict", "convert"] = "strict", repeat_grey: bool = False
) -> NDArray[np.uint8]:
    """The pixels of an image file.

    Args:
        path: A picture, or a raster that GDAL opens.
        mode: ``"strict"`` refuses all whose red, green and blue are not known or not of 8 bits; alpha is left out.
            ``"convert"`` makes 8-bit RGB of all images, see :func:`rsseg.io.rgb.convert_to_rgb`.
        repeat_grey: Accept images with a single grey band in strict mode, too.

    Returns:
        (H, W, 3) uint8, RGB, contiguous.

    Raises:
        AnnotationError: The file is broken or cut short, or of a kind that ``mode`` refuses.
        FileNotFoundError: There is no such file.
        ConfigError: ``mode`` is no such word.
    """
    if mode not in ("strict", "convert"):
        raise ConfigError(f"mode must be 'strict' or 'convert', not {mode!r}")
    if mode == "convert":
        with _as_problem(path, ""):
            return convert_to_rgb(path)
    with _as_problem(path, "; image_mode='convert' would accept this image and convert it to 8-bit RGB"):
        return rasters.read_image(path, PixelSpec(repeat_grey=repeat_grey))[0]


@contextmanager
def _as_problem(path: Path | str, hint: str) -> Iterator[None]:
    """Turn what the reader says of a file into a problem of a label set."""
    try:
        yield
    except UnreadableFileError as error:
        reason = f"image is broken or cut short, replace the file ({_without(path, error)})"
        raise AnnotationError(path, None, Path(path).name, reason) from error
    except DataError as error:
        raise AnnotationError(path, None, describe_raster(path), f"{_without(path, error)}{hint}") from error


def _without(path: Path | str, error: DataError) -> str:
    return str(error).removeprefix(f"{path}: ")
