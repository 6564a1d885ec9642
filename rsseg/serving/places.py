"""Where rasters lie on the page's map.

Everything has a place on the Earth.  A picture that has none of its own (no CRS, no transform, a transform without CRS,
or a bend by ground control points) is put at 0° N, 0° E in Web Mercator with one metre for a pixel.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio._err import CPLE_BaseError  # errors of GDAL that rasterio lets through as they are
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from rsseg.io.georeference import SPHEROID, GeoReference

__all__ = [
    "DEGREES",
    "EDGE",
    "LATITUDE",
    "MERCATOR",
    "Place",
    "affine_of",
    "apply_affine",
    "move_points",
    "parts_of_view",
    "to_mercator",
]

MERCATOR, DEGREES = CRS.from_epsg(3857), CRS.from_epsg(4326)
EDGE = math.pi * SPHEROID[0]
"""Half the width of Web Mercator's square, in its metres."""
LATITUDE = math.degrees(math.atan(math.sinh(math.pi)))
"""Where Web Mercator's square ends."""
_EDGE_POINTS = 33
Bounds = tuple[float, float, float, float]
Shapes = NDArray[np.object_]
Floats = NDArray[np.float64]


def to_mercator(lon: Any, lat: Any) -> tuple[Floats, Floats]:
    """Coordinates in Web Mercator of longitudes and latitudes (N,) in degrees, the latter cut to its square."""
    x = np.asarray(lon, np.float64) / 180 * EDGE
    y = np.arctanh(np.sin(np.radians(np.clip(np.asarray(lat, np.float64), -LATITUDE, LATITUDE)))) * SPHEROID[0]
    return x, np.asarray(y, np.float64)


def _moved(x: Floats, y: Floats, source: CRS, target: CRS) -> tuple[Floats, Floats]:
    """Coordinates in another CRS; infinite where it does not reach."""
    if source == target:
        return x, y
    try:
        found = transform_points(source, target, x.tolist(), y.tolist())[:2]
    except CPLE_BaseError:
        return np.full(len(x), math.inf), np.full(len(x), math.inf)
    return np.asarray(found[0], np.float64), np.asarray(found[1], np.float64)


@dataclass(frozen=True)
class Place:
    """Where a raster is shown.

    Attributes:
        georeference: With CRS and transform, always.
        own: Whether the raster itself says so; else it is put at 0° N, 0° E with one metre for a pixel.
    """

    georeference: GeoReference
    own: bool

    @classmethod
    def of(cls, dataset: Any) -> Place:
        """Of an open rasterio dataset, of a path, or of a :class:`GeoReference`.

        Raises:
            OSError: It cannot be opened.
        """
        found = dataset if isinstance(dataset, GeoReference) else GeoReference.of(dataset)
        affine, (height, width) = found.affine, found.size
        if affine is not None and found.crs is not None and not affine.is_degenerate:
            place = cls(GeoReference(found.size, found.crs, affine), True)
            lon, lat = place._degrees(np.array([width / 2]), np.array([height / 2]))
            if np.isfinite(lon).all() and np.isfinite(lat).all():
                return place
        return cls(GeoReference(found.size, MERCATOR, Affine(1, 0, 0, 0, -1, 0)), False)

    @property
    def crs(self) -> CRS:
        """The CRS in which it is shown."""
        assert self.georeference.crs is not None
        return self.georeference.crs

    def _degrees(self, columns: Floats, rows: Floats) -> tuple[Floats, Floats]:
        return _moved(*self.georeference.coordinates(columns, rows), self.crs, DEGREES)

    @property
    def measured(self) -> GeoReference:
        """Where pixels lie for measuring: nowhere, where the raster does not say so itself."""
        return self.georeference if self.own else GeoReference(self.georeference.size)

    @functools.cached_property
    def bounds(self) -> Bounds:
        """West, south, east, north in degrees; west or east is beyond ±180 where it crosses the antimeridian."""
        height, width = self.georeference.size
        along, none = np.linspace(0, 1, _EDGE_POINTS), np.zeros(_EDGE_POINTS)
        columns = np.concatenate([along, along, none, none + 1, [0.5]]) * width
        rows = np.concatenate([none, none + 1, along, along, [0.5]]) * height
        x, y = self.georeference.coordinates(columns, rows)
        lon, lat = _moved(x, y, self.crs, DEGREES)
        if self.crs.is_geographic:
            lon = x * math.degrees(self.crs.units_factor[1])  # as written, also beyond 180
        elif self.crs == MERCATOR:
            lon = x / EDGE * 180
        else:
            lon = lon - 360 * (lon - lon[-1] > 180) + 360 * (lon - lon[-1] < -180)
        known = np.isfinite(lon) & np.isfinite(lat)
        lon, lat = lon[known], np.clip(lat[known], -LATITUDE, LATITUDE)
        poles = (
            [] if self.crs.is_geographic or self.crs == MERCATOR else [end for end in (-90.0, 90.0) if self._has(end)]
        )
        if poles:  # around one lie all longitudes
            lon, lat = np.array([-180.0, 180.0]), np.append(lat, np.clip(poles, -LATITUDE, LATITUDE))
        return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())

    def _has(self, pole: float) -> bool:
        column, row = self.pixels_at(0.0, pole)
        height, width = self.georeference.size
        return 0 < column < width and 0 < row < height

    def pixels_at(self, lon: float, lat: float) -> tuple[float, float]:
        """Column and row of a position in degrees, also beyond the raster; infinite where its CRS does not reach."""
        x, y = _moved(np.array([lon], np.float64), np.array([lat], np.float64), DEGREES, self.crs)
        column, row = apply_affine(~affine_of(self.georeference), x, y)
        return float(column[0]), float(row[0])

    def to_degrees(self, shapes: Shapes) -> Shapes:
        """Shapely geometries (N,) in the raster's CRS, or in its pixels where it has none, as degrees."""
        if not self.own:
            return self.pixels_to_degrees(shapes)
        return move_points(shapes, lambda x, y: _moved(x, y, self.crs, DEGREES))

    def from_degrees(self, shapes: Shapes) -> Shapes:
        """Shapely geometries (N,) in degrees as the raster's CRS has them, or its pixels where it has none."""
        if not self.own:
            return self.degrees_to_pixels(shapes)
        return move_points(shapes, lambda x, y: _moved(x, y, DEGREES, self.crs))

    def pixels_to_degrees(self, shapes: Shapes) -> Shapes:
        """Shapely geometries (N,) in pixels (column, row) as degrees."""
        return move_points(shapes, self._degrees)

    def box_to_degrees(self, box: Sequence[float]) -> Bounds:
        """The upright box in degrees around one in pixels (x1 y1 x2 y2), which lies askew where the raster does.

        East is beyond 180 across the antimeridian; infinite where the CRS does not reach.
        """
        x1, y1, x2, y2 = box
        lon, lat = self._degrees(np.array([x1, x2, x2, x1], np.float64), np.array([y1, y1, y2, y2], np.float64))
        if np.isfinite(lon).all():
            lon = lon - 360 * np.round((lon - lon[0]) / 360)
        return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())

    def degrees_to_pixels(self, shapes: Shapes) -> Shapes:
        """Shapely geometries (N,) in degrees as pixels (column, row)."""

        def pixels(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
            return apply_affine(~affine_of(self.georeference), *_moved(lon, lat, DEGREES, self.crs))

        return move_points(shapes, pixels)


def parts_of_view(place: Place, view: Bounds) -> list[Bounds]:
    """Where a view in degrees meets a raster, in the longitudes that the raster's bounds have.

    Args:
        place: Of the raster.
        view: West, south, east, north; an east smaller than the west lies beyond the antimeridian.
    """
    west, south, east, north = view
    east += 360 if east < west else 0
    low, bottom, high, top = place.bounds
    parts = []
    for turn in range(-3, 4):
        left, right = max(west + 360 * turn, low), min(east + 360 * turn, high)
        if left < right and max(south, bottom) < min(north, top):
            parts.append((left, max(south, bottom), right, min(north, top)))
    return _apart(parts)


def _apart(parts: list[Bounds]) -> list[Bounds]:
    """Parts of which none is counted twice, for views wider than the world."""
    widest = sorted(parts, key=lambda part: part[0] - part[2])
    kept: list[Bounds] = []
    for part in widest:
        if not any(part[0] < other[2] and other[0] < part[2] for other in kept):
            kept.append(part)
    return kept


def affine_of(georeference: GeoReference) -> Affine:
    """The transform of a raster that has one."""
    assert georeference.affine is not None
    return georeference.affine


def apply_affine(transform: Affine, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Coordinates (N,) after a transform; infinite ones are let through."""
    a, b, c, d, e, f = transform[:6]
    with np.errstate(invalid="ignore"):  # infinite where a CRS does not reach
        return a * x + b * y + c, d * x + e * y + f


def move_points(shapes: Shapes, move: Callable[[Floats, Floats], tuple[Floats, Floats]]) -> Shapes:
    """Shapely geometries (N,) whose coordinates are moved by a function of all x and all y."""
    import shapely

    out: Shapes = shapely.transform(shapes, lambda points: np.column_stack(move(points[:, 0], points[:, 1])))
    return out
