"""Which tiles of a mosaic (VRT, GTI) lie in a view."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import shapely
from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from rsseg.io.listing import has_suffix
from rsseg.io.rasters import opened
from rsseg.serving.mosaics import MOSAICS, index_of, index_texts, vrt_sources
from rsseg.serving.places import DEGREES, Place

__all__ = ["tiles_in_view"]

_STEPS = 16
"""Pieces of a side of the view, which may be bent on the mosaic's grid."""
Bounds = tuple[float, float, float, float]


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
    for file in _of_vrt(path, view) if index is None else _of_index(index, view):
        if has_suffix(file, MOSAICS):
            yield from tiles_in_view(file, view)
        else:
            yield file.resolve()


def _of_vrt(path: Path, view: Bounds) -> Iterator[Path]:
    with opened(path) as file:
        place = Place.of(file)
    sides = shapely.segmentize(shapely.box(*view), max(view[2] - view[0], view[3] - view[1]) / _STEPS)
    x1, y1, x2, y2 = shapely.bounds(place.degrees_to_pixels(np.array([sides])))[0].tolist()
    for element, name, folder in vrt_sources(path):
        drawn = element.find("DstRect")
        at = {} if drawn is None else {key: float(drawn.get(key, "nan")) for key in ("xOff", "yOff", "xSize", "ySize")}
        beyond = at and (
            at["xOff"] >= x2 or at["xOff"] + at["xSize"] <= x1 or at["yOff"] >= y2 or at["yOff"] + at["ySize"] <= y1
        )
        if not beyond:
            yield folder / name


def _of_index(index: Path, view: Bounds) -> Iterator[Path]:
    def box(crs: str | None) -> Bounds:
        found = DEGREES if crs is None else CRS.from_user_input(crs)
        left, bottom, right, top = transform_bounds(DEGREES, found, *view, densify_pts=_STEPS)
        return left, bottom, right, top

    _, names = index_texts(index, box)
    for name in dict.fromkeys(names):
        yield index.parent / name
