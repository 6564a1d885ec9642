"""The grid on which two maps are compared, and its windows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.features import rasterize
from rasterio.windows import Window

from rsseg.errors import DataError
from rsseg.io.georeference import GeoReference

__all__ = ["SIDE", "CommonGround", "common_ground", "covered", "windows_of"]

SIDE = 1024
"""Pixels along a window at most."""
_SAME_SIZE = 1.02  # ratio of ground areas of pixels up to which two maps count as equally fine
_POINTS = 33  # along each edge of a map's outline in another CRS
_NOTHING = 1e-6  # share of the smaller map
_EDGE, _BACK = 1e-3, 1e-3  # pixels; share of a map's side


@dataclass(frozen=True)
class CommonGround:
    """Where two maps are compared.

    Attributes:
        side: The map whose pixels are compared, 0 for the first.
        window: The part of that map that holds the common ground.
        grid: Where that part lies.
        outlines: Outline of each map in pixels of the other one, None where the CRSs do not reach.
    """

    side: int
    window: Window
    grid: GeoReference
    outlines: tuple[shapely.Polygon | None, shapely.Polygon | None]


def common_ground(places: tuple[GeoReference, GeoReference], paths: tuple[str, str], grid: str) -> CommonGround:
    """Choose the grid of two maps, and find their common ground.

    Args:
        places: Where the maps lie.
        paths: Their files, for errors.
        grid: ``before``, ``after`` or ``coarser``, which takes the first map's where both are equally fine.

    Raises:
        DataError: Nothing relates the two, or they have no ground in common; the message has both extents.
    """
    for place, path in zip(places, paths, strict=True):
        if place.affine is not None and not abs(place.affine.determinant) > 0:  # nor is it not a number
            raise DataError(f"{path}: its transform {tuple(place.affine)[:6]} gives pixels no extent; set another one "
                            "(rio edit-info --transform)")  # fmt: skip
    side = {"before": 0, "after": 1}.get(grid, -1)
    if places[0].same_pixels(places[1]):  # perhaps only one of them says where it lies
        side = max(side, 0) if places[max(side, 0)].has_coordinates else int(places[1].has_coordinates)
        height, width = places[side].size
        whole = shapely.box(0, 0, width, height)
        return CommonGround(side, Window(0, 0, width, height), places[side], (whole, whole))
    try:
        places[0].check_related(places[1])
    except DataError as error:
        raise DataError(f"{paths[1]}: cannot be compared with {paths[0]}: {error}") from error
    side = int(_pixel_area(places[1]) > _SAME_SIZE * _pixel_area(places[0])) if side < 0 else side
    outlines = _outline(places[0], places[1]), _outline(places[1], places[0])
    if outlines == (None, None) and not any(map(_reaches, places, reversed(places))):
        raise DataError(f"{paths[1]}: cannot be compared with {paths[0]}: no transformation between their CRSs is "
                        f"known there; {_extents(places, paths)}")  # fmt: skip
    height, width = places[side].size
    other = outlines[1 - side]
    whole = shapely.box(0, 0, width, height)
    common = whole if other is None else shapely.intersection(other, whole)
    if common.area <= _NOTHING * min(whole.area, whole.area if other is None else other.area):
        raise DataError(f"the maps have no ground in common: {_extents(places, paths)}")
    left, top, right, bottom = common.bounds
    x1, y1 = math.floor(left + _EDGE), math.floor(top + _EDGE)
    x2, y2 = max(math.ceil(right - _EDGE), x1 + 1), max(math.ceil(bottom - _EDGE), y1 + 1)
    return CommonGround(side, Window(x1, y1, x2 - x1, y2 - y1), places[side].window(x1, y1, x2 - x1, y2 - y1), outlines)


def _pixel_area(place: GeoReference) -> float:
    """Of a pixel in the middle: square metres, or square units where pixels have no size on the ground."""
    if place.no_metres is None:
        across, down = place.pixel_size
        return across * down
    return abs((place.affine or place.transform).determinant)


def _outline(place: GeoReference, other: GeoReference) -> shapely.Polygon | None:
    """Outline of a map in pixels of another one; None where the CRSs do not reach."""
    count = 2 if place.crs == other.crs else _POINTS
    height, width = place.size
    along, zero, one = np.linspace(0, 1, count)[:-1], np.zeros(count - 1), np.ones(count - 1)
    columns = np.concatenate([along, one, 1 - along, zero]) * width
    rows = np.concatenate([zero, along, one, 1 - along]) * height
    points = np.column_stack(place.pixels_in(other, columns, rows))
    if not np.isfinite(points).all():
        return None
    back = np.abs(np.stack(other.pixels_in(place, *points.T)) - np.stack([columns, rows])).max()
    if not back <= _BACK * max(place.size):  # beyond where the projections are one to one
        return None
    return shapely.make_valid(shapely.Polygon(points))


def _reaches(place: GeoReference, other: GeoReference) -> bool:
    """Whether any corner, or the middle, of a map has a position in the CRS of another one."""
    height, width = place.size
    found = place.pixels_in(other, [0, width, width, 0, width / 2], [0, 0, height, height, height / 2])
    return bool(np.isfinite(found).all(axis=0).any())


def _extents(places: tuple[GeoReference, GeoReference], paths: tuple[str, str]) -> str:
    return "; ".join(f"{path} covers {_extent(place)}" for path, place in zip(paths, places, strict=True))


def _extent(place: GeoReference) -> str:
    height, width = place.size
    x, y = place.coordinates([0, width, width, 0], [0, 0, height, height])
    crs = "no CRS" if place.crs is None else place.crs.to_string()
    code = crs if len(crs) < 40 else crs[:36] + " ..."
    return f"x {x.min():.10g} to {x.max():.10g}, y {y.min():.10g} to {y.max():.10g} ({code})"


def windows_of(width: int, height: int, side: int = SIDE) -> Iterator[Window]:
    """Windows that cover so many pixels, row by row."""
    for y in range(0, height, side):
        for x in range(0, width, side):
            yield Window(x, y, min(side, width - x), min(side, height - y))


def covered(outline: shapely.Polygon | None, window: Window) -> NDArray[np.bool_]:
    """(h, w): which pixels of a window have their centre within an outline; all where there is no outline."""
    shape = int(window.height), int(window.width)
    if outline is None or outline.covers(shapely.box(*_bounds(window))):
        return np.ones(shape, bool)
    if not outline.area or not outline.intersects(shapely.box(*_bounds(window))):
        return np.zeros(shape, bool)
    place = Affine.translation(window.col_off, window.row_off)
    return np.asarray(rasterize([(outline, 1)], shape, transform=place, dtype="uint8"), bool)


def _bounds(window: Window) -> tuple[float, float, float, float]:
    x, y, width, height = window.flatten()
    return x, y, x + width, y + height
