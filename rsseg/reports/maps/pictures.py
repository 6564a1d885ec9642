"""Small pictures of a map of any size, and of the image that it was made from, on the same ground."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio import Affine
from rasterio.enums import Resampling

from rsseg.errors import DataError
from rsseg.io.bands import PixelSpec, percentile_range, scale_values
from rsseg.io.control_points import points_shift
from rsseg.io.georeference import GeoReference
from rsseg.io.rasters import Raster, lacks_mask, opened
from rsseg.reports.maps.files import MapFiles
from rsseg.reports.markup import data_uri
from rsseg.structures.pictures import indexed

__all__ = ["bounded_uri", "image_picture", "image_pixels", "map_labels", "map_picture", "picture_size", "read_small"]

_SIDE = 1600
_SHRINK = (1, 0.7, 0.5, 0.35)
_MOST = 2_200_000
_NODATA = 255


def picture_size(size: tuple[int, int]) -> tuple[int, int]:
    """(h, w) of a picture of a map of (H, W) pixels; its longer side has at most 1600."""
    scale = min(1.0, _SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def read_small(path: Path) -> NDArray[np.integer]:
    """Values (h, w) of the first band of a map of classes, as large as :func:`picture_size` says.

    They are read through the overviews; of the pixels that become one the most frequent class is taken.

    Raises:
        OSError: The map cannot be read.
    """
    with opened(path) as file:
        small = max(file.shape) <= 2 * _SIDE or file.overviews(1)
        method = Resampling.mode if small else Resampling.nearest
        values: NDArray[np.integer] = file.read(1, out_shape=picture_size(file.shape), resampling=method)
    return values


def map_labels(files: MapFiles) -> NDArray[np.uint8]:
    """Class ids (h, w) of a map, 255 where it has none; see :func:`read_small`.

    Raises:
        OSError: The map cannot be read.
    """
    labels = read_small(files.path).astype(np.uint8)
    labels[labels >= len(files.classes)] = _NODATA
    return labels


def bounded_uri(picture: Image.Image, resample: Image.Resampling, kind: str, **options: Any) -> str:
    """The ``data:`` URI of a picture, shrunk until it has at most 2.2 million characters."""
    uri = ""
    for scale in _SHRINK:
        width, height = (max(1, round(length * scale)) for length in picture.size)
        uri = data_uri(picture if scale == 1 else picture.resize((width, height), resample), kind, **options)
        if len(uri) <= _MOST:
            break
    return uri


def map_picture(files: MapFiles) -> str:
    """A class map in its colours as the URI of a PNG, transparent where there is no data; see :func:`map_labels`.

    Raises:
        OSError: The map cannot be read.
    """
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(files.palette)] = files.palette
    picture = indexed(map_labels(files), colours)
    return bounded_uri(picture, Image.Resampling.NEAREST, "PNG", optimize=True, transparency=_NODATA)


def image_picture(files: MapFiles, path: str, bands: Sequence[int] | None) -> tuple[str, str]:
    """The ground of a map in an image, as the URI of a WebP.

    Args:
        files: The map.
        path: Anything that GDAL opens; an image on another grid than the map's is resampled.
        bands: Numbers from 1 to show as red, green, blue, or one to show as grey; None takes the bands that the map
            was made from where the image has them, else those that the image calls red, green and blue.

    Returns:
        The URI, and what was done to the values ("" for 8 bits as they are).

    Raises:
        OSError: The image cannot be read.
        DataError: Its bands are not known, or image and map have no ground in common.
    """
    pixels, valid, note = image_pixels(files, path, bands)
    rgba = np.dstack([*(pixels if len(pixels) == 3 else pixels.repeat(3, 0)), np.where(valid, 255, 0)])
    picture = Image.fromarray(rgba.astype(np.uint8))
    picture = picture.convert("RGB") if valid.all() else picture
    return bounded_uri(picture, Image.Resampling.BOX, "WEBP", quality=80, method=4), note


def image_pixels(
    files: MapFiles, path: str, bands: Sequence[int] | None
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], str]:
    """The ground of a map in an image, as large as :func:`map_labels`; arguments and errors as in image_picture.

    Returns:
        (1 or 3, h, w) values, (h, w) validity, and what was done to the values.
    """
    size = picture_size(files.size)
    spec = PixelSpec(_bands(files, path, bands), "raw", repeat_grey=True)
    with Raster(path, spec, lambda dataset: _on_ground(files, dataset, size, path)) as raster:
        pixels, mask = raster.read(size=size)
    valid = np.ones(size, bool) if mask is None else mask
    if not valid.any():
        raise DataError(f"{path}: has no data where the map lies; name the image that the map was made from")
    values, note = _to_bytes(pixels, valid, files.setting("range"))
    return values, valid, note


def _bands(files: MapFiles, path: str, bands: Sequence[int] | None) -> tuple[int, ...] | None:
    """At most three bands, or a single one; None where the image itself has to say which."""
    if bands is None:
        of_map = files.setting("bands")
        with opened(path) as image:
            bands = of_map if isinstance(of_map, list) and of_map and max(of_map) <= image.count else None
    if bands is None:
        return None
    return tuple(bands[:3]) if len(bands) >= 3 else tuple(bands[:1])


def _on_ground(files: MapFiles, image: Any, size: tuple[int, int], path: str) -> Any:
    """The image itself where it covers the same ground as the map, else a view of it that does."""
    grid, source = files.georeference, GeoReference.of(image)
    near = max(1.5, max(files.size) / max(size))  # pixels of the map; one pixel of the picture
    if grid.same_pixels(source) or grid.offset_from(source) <= near:
        return image
    shift = None if source.affine is not None else points_shift(grid.gcps, source.gcps)
    if shift is not None:  # a part of an image that is bent by its points: pixels alone relate the two
        source = GeoReference(source.size, None, Affine(1, 0, 0, 0, -1, 0))
        grid = source.window(*shift, *files.size[::-1])
    try:
        return grid.scaled(size).view(image, Resampling.average, add_alpha=lacks_mask(image), source=source)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _to_bytes(pixels: NDArray[Any], valid: NDArray[np.bool_], value_range: Any) -> tuple[NDArray[np.uint8], str]:
    if isinstance(value_range, list) and len(value_range) == 2:
        low, high = float(value_range[0]), float(value_range[1])
        note = f"values {low:g} to {high:g}"
    elif pixels.dtype == np.uint8:
        return pixels, ""
    else:
        low, high = percentile_range(pixels, valid)
        note = f"stretched from {low:.4g} to {high:.4g} (2nd to 98th percentile of the values)"
    scaled = scale_values(np.where(valid, pixels, low), (low, max(high, low + 1e-12)))
    return scaled.astype(np.uint8), note
