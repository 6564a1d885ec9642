"""Small pictures of a map of any size, and of the image that it was made from, on the same piece of ground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio import Affine
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from rsseg.errors import DataError
from rsseg.reports.maps.files import MapFiles, point_at
from rsseg.reports.markup import data_uri
from rsseg.structures.pictures import indexed

__all__ = ["choose_bands", "image_picture", "image_pixels", "map_labels", "map_picture"]

_SIDE = 1600
_SHRINK = (1, 0.7, 0.5, 0.35)
_MOST = 2_200_000
_NODATA = 255
_COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


def _picture_size(files: MapFiles) -> tuple[int, int]:
    scale = min(1.0, _SIDE / max(files.size))
    return max(1, round(files.size[0] * scale)), max(1, round(files.size[1] * scale))


def map_labels(files: MapFiles) -> NDArray[np.uint8]:
    """Class ids (h, w) of a map, 255 where it has none; its longer side has at most 1600 pixels.

    They are read through the overviews; of the pixels that become one the most frequent class is taken.

    Raises:
        OSError: The map cannot be read.
    """
    try:
        with rasterio.open(files.path) as file:
            small = max(file.shape) <= 2 * _SIDE or file.overviews(1)
            how = Resampling.mode if small else Resampling.nearest
            labels = file.read(1, out_shape=_picture_size(files), resampling=how)
    except RasterioError as error:
        raise OSError(f"{files.path}: is damaged ({error})") from error
    labels[labels >= len(files.classes)] = _NODATA
    return labels


def _bounded(picture: Image.Image, how: Image.Resampling, kind: str, **options: Any) -> str:
    """The address of a picture, shrunk until it has at most 2.2 million characters."""
    address = ""
    for scale in _SHRINK:
        width, height = (max(1, round(length * scale)) for length in picture.size)
        shown = picture if scale == 1 else picture.resize((width, height), how)
        address = data_uri(shown, kind, **options)
        if len(address) <= _MOST:
            break
    return address


def map_picture(files: MapFiles) -> str:
    """A class map in its colours as the address of a PNG, transparent where there is no data; see :func:`map_labels`.

    Raises:
        OSError: The map cannot be read.
    """
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(files.palette)] = files.palette
    picture = indexed(map_labels(files), colours)
    return _bounded(picture, Image.Resampling.NEAREST, "PNG", optimize=True, transparency=_NODATA)


def choose_bands(colours: Sequence[ColorInterp], told: Sequence[int] | None, where: str) -> list[int]:
    """Bands to show as red, green and blue, or one as grey.

    Args:
        colours: What the file says about its bands.
        told: Numbers from 1, red first; None takes what the file says.
        where: The file, for errors.

    Raises:
        ValueError: A band is not there, or nobody says which bands are which colour.
    """
    data = [i for i, colour in enumerate(colours, start=1) if colour != ColorInterp.alpha]
    if told is None:
        found = [colours.index(colour) + 1 for colour in _COLOURS if colour in colours]
        told = found if len(found) == 3 else data if len(data) == 1 else []
    chosen = list(told[:3]) if len(told) >= 3 else list(told[:1])
    if not chosen or not all(1 <= band <= len(colours) for band in chosen):
        raise DataError(f"{where}: has {len(colours)} bands; say with --bands which to show, red first, e.g. 3,2,1")
    return chosen


def image_picture(files: MapFiles, path: str, bands: Sequence[int] | None) -> tuple[str, str]:
    """The ground of a map in an image, as the address of a WebP.

    Args:
        files: The map.
        path: Anything that GDAL opens; on another grid than the map it is warped.
        bands: Numbers from 1 to show as red, green, blue; None takes the map's where they fit, else the file's.

    Returns:
        The address, and what was done to the values ("" for 8 bits as they are).

    Raises:
        OSError: The image cannot be read.
        ValueError: Bands are not known, or image and map have no ground in common.
    """
    pixels, valid, note = image_pixels(files, path, bands)
    rgba = np.dstack([*(pixels if len(pixels) == 3 else pixels.repeat(3, 0)), np.where(valid, 255, 0)])
    picture = Image.fromarray(rgba.astype(np.uint8))
    picture = picture.convert("RGB") if valid.all() else picture
    return _bounded(picture, Image.Resampling.BOX, "WEBP", quality=80, method=4), note


def image_pixels(
    files: MapFiles, path: str, told: Sequence[int] | None
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], str]:
    """The ground of a map in an image, as large as :func:`map_labels`; arguments and errors as in image_picture.

    Returns:
        (1 or 3, h, w) values, (h, w) validity, and what was done to the values.
    """
    size = _picture_size(files)
    try:
        with rasterio.open(path) as image:
            of_map = files.setting("bands")
            if told is None and isinstance(of_map, list) and max(of_map) <= image.count:
                told = of_map
            bands = choose_bands(image.colorinterp, told, path)
            with _on_ground(files, image, size, path) as data:
                pixels = data.read(bands, out_shape=(len(bands), *size), resampling=Resampling.average)
                valid = data.dataset_mask(out_shape=size, resampling=Resampling.nearest) > 0
    except RasterioError as error:
        raise OSError(f"{path}: cannot be read as a raster ({error})") from error
    if pixels.dtype.kind == "f":
        valid &= np.isfinite(pixels).all(axis=0)
    if not valid.any():
        raise DataError(f"{path}: has no data where the map lies")
    values, note = _to_bytes(pixels, valid, files.setting("range"))
    return values, valid, note


def _on_ground(files: MapFiles, image: Any, size: tuple[int, int], path: str) -> Any:
    """The image itself where it covers the same ground as the map, else a view of it that does."""
    height, width = files.size
    if image.crs == files.crs:
        off = 0.0
        for x, y in ((0, 0), (1, 0), (0, 1)):
            end = point_at(~files.transform, *point_at(image.transform, x * image.width, y * image.height))
            off = max(off, abs(end[0] - x * width), abs(end[1] - y * height))
        if off <= max(1.5, max(height, width) / max(size)):
            return image
    if image.crs is None or files.crs is None:
        raise DataError(
            f"{path}: has {image.height} x {image.width} pixels, the map {height} x {width}, and no CRS relates them"
        )
    t, across, down = files.transform, width / size[1], height / size[0]
    transform = Affine(t.a * across, t.b * down, t.c, t.d * across, t.e * down, t.f)
    masked = any(MaskFlags.nodata in flags or MaskFlags.alpha in flags for flags in image.mask_flag_enums)
    return WarpedVRT(image, crs=files.crs, transform=transform, width=size[1], height=size[0],
                     resampling=Resampling.average, add_alpha=not masked)  # fmt: skip


def _to_bytes(pixels: NDArray[Any], valid: NDArray[np.bool_], told: Any) -> tuple[NDArray[np.uint8], str]:
    if isinstance(told, list) and len(told) == 2:
        low, high, note = float(told[0]), float(told[1]), f"values {told[0]:g} to {told[1]:g}"
    elif pixels.dtype == np.uint8:
        return pixels, ""
    else:
        low, high = np.percentile(pixels[:, valid].astype(np.float64), (2, 98)).tolist()
        note = f"stretched from {low:.4g} to {high:.4g} (2nd to 98th per cent of the values)"
    scaled = (np.where(valid, pixels, low).astype(np.float64) - low) * (255 / max(high - low, 1e-12))
    return np.clip(scaled, 0, 255).astype(np.uint8), note
