"""Which maps of a mosaic (VRT, GTI) lie in a view, and where."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from rsseg.errors import DataError
from rsseg.io.listing import has_suffix
from rsseg.io.rasters import opened
from rsseg.serving.layers import Layer
from rsseg.serving.mosaics import MOSAICS, index_of, index_texts, vrt_sources
from rsseg.serving.places import DEGREES, Bounds, Place, affine_of, apply_affine, parts_of_view

__all__ = ["boxes_in_view", "members_in_view", "tiles_in_view"]

_STEPS = 16
"""Pieces of a side of the view, which may be bent on the mosaic's grid."""
_HAIR = 1e-3
"""Part of a pixel by which places in a mosaic may be off, of rasters that have whole pixels of it."""
_SLACK = 0.5
"""Part of a pixel by which outlines in an index may lie within their maps, as those that rsseg writes do."""
Boxes = NDArray[np.float64]


def members_in_view(layer: Layer, place: Place, view: Bounds) -> list[Layer]:
    """Maps of a mosaic that are served and meet a view in degrees, in the order in which they are drawn.

    Args:
        layer: The mosaic.
        place: Of the mosaic.
        view: West, south, east, north; an east smaller than the west lies beyond the antimeridian.

    Raises:
        DataError: The mosaic cannot be understood.
        OSError: It cannot be read.
    """
    known, seen = {own.path: own for own in layer.members}, dict[Path, Layer]()
    for part in parts_of_view(place, view):
        seen |= {path: known[path] for path in tiles_in_view(layer.path, part) if path in known}
    return list(seen.values())


def boxes_in_view(path: Path, place: Place, view: Bounds) -> Boxes | None:
    """Where the rasters that a mosaic names and that meet a view lie, as far as it says so.

    Args:
        path: The mosaic; one that leads to no address.
        place: Of the mosaic.
        view: As :func:`tiles_in_view` takes it.

    Returns:
        x1, y1, x2, y2 (N, 4) in pixels of the mosaic; None where it does not say where they lie.

    Raises:
        DataError: The mosaic cannot be understood.
        OSError: It cannot be read.
    """
    index = index_of(path)
    if index is not None:
        return _boxes_of_index(index, place, view)
    boxes = [box for box, _ in _of_vrt(path, place, view)]
    return None if None in boxes else _whole(np.array(boxes, np.float64).reshape(-1, 4).T)


def tiles_in_view(path: Path, view: Bounds) -> Iterator[Path]:
    """Rasters of a mosaic, and of the mosaics in it, that meet a view, as far as the mosaic says where they lie.

    Args:
        path: The mosaic; one that leads to no address, and to itself in no way.
        view: West, south, east, north in degrees, in the longitudes of the mosaic's bounds.

    Yields:
        Files, their links followed, perhaps more than once.

    Raises:
        DataError: The mosaic cannot be understood.
        OSError: It cannot be read.
    """
    index = index_of(path)
    if index is None:
        with opened(path) as mosaic:
            files = [file for _, file in _of_vrt(path, Place.of(mosaic), view)]
    else:
        files = [index.parent / name for name in dict.fromkeys(index_texts(index, _box_of(view))[1])]
    for file in files:
        if has_suffix(file, MOSAICS):
            yield from tiles_in_view(file, view)
        else:
            yield file.resolve()


def _of_vrt(path: Path, place: Place, view: Bounds) -> Iterator[tuple[Bounds | None, Path]]:
    """Files of a VRT that may meet a view, and where each is drawn."""
    sides = shapely.segmentize(shapely.box(*view), max(view[2] - view[0], view[3] - view[1]) / _STEPS)
    x1, y1, x2, y2 = shapely.bounds(place.degrees_to_pixels(np.array([sides])))[0].tolist()
    for element, name, folder in vrt_sources(path):
        drawn, box = element.find("DstRect"), None
        if drawn is not None:
            left, top, width, height = (float(drawn.get(key, "nan")) for key in ("xOff", "yOff", "xSize", "ySize"))
            box = left, top, left + width, top + height
        if box is None or not (box[0] >= x2 or box[2] <= x1 or box[1] >= y2 or box[3] <= y1):
            yield box, folder / name


def _box_of(view: Bounds) -> Callable[[str | None], Bounds]:
    """A function of a CRS that gives the box in it around a view in degrees."""

    def box(crs: str | None) -> Bounds:
        found = DEGREES if crs is None else CRS.from_user_input(crs)
        left, bottom, right, top = transform_bounds(DEGREES, found, *view, densify_pts=_STEPS)
        return left, bottom, right, top

    return box


def _boxes_of_index(index: Path, place: Place, view: Bounds) -> Boxes | None:
    import pyogrio
    from pyogrio.errors import DataSourceError

    try:
        crs = pyogrio.read_info(index)["crs"]
        if crs is None or CRS.from_user_input(crs) != place.crs:
            return None
        _, (left, bottom, right, top) = pyogrio.read_bounds(index, bbox=_box_of(view)(crs))
    except DataSourceError as error:
        raise DataError(f"{index}: is no index of tiles ({error})") from error
    affine = affine_of(place.georeference)
    slack = _SLACK * max(math.hypot(affine.a, affine.d), math.hypot(affine.b, affine.e))
    sides = [(x, y) for x in (left - slack, right + slack) for y in (bottom - slack, top + slack)]
    ends = [apply_affine(~affine, x, y) for x, y in sides]
    corners = np.array(ends)  # (4, 2, N)
    return _whole(np.concatenate([corners.min(0), corners.max(0)]))


def _whole(boxes: Boxes) -> Boxes:
    """Boxes (4, N) as those (N, 4) of the pixels in which GDAL draws, which it does in part of a pixel, too."""
    return np.concatenate([np.floor(boxes[:2] + _HAIR), np.ceil(boxes[2:] - _HAIR)]).T
