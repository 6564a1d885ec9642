"""What a pixel measures on the ground, and how much of it each class covers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio._err import CPLE_BaseError  # errors of GDAL that rasterio lets through as they are
from rasterio.warp import transform as transform_points

__all__ = ["metres_per_pixel", "row_areas"]

Floats = NDArray[np.floating]

_SPHEROID = 6378137.0, 1 / 298.257223563
_DISTORTED = 0.01


def _curvature(latitude: Floats) -> tuple[Floats, Floats]:
    """Radii of curvature (along the meridian, along the parallel's tangent) in metres at latitudes in radians."""
    axis, flattening = _SPHEROID
    squared = flattening * (2 - flattening)
    term = 1 - squared * np.sin(latitude) ** 2
    return axis * (1 - squared) / term**1.5, axis / np.sqrt(term)


def _places(crs: Any, transform: Affine, columns: Floats, rows: Floats) -> tuple[Floats, Floats]:
    """Longitude and latitude in radians of points given in pixels."""
    x = transform.a * columns + transform.b * rows + transform.c
    y = transform.d * columns + transform.e * rows + transform.f
    if crs.is_geographic:
        unit = crs.units_factor[1]  # degrees, or the grads of old maps
        return x * unit, y * unit
    try:
        lon, lat = transform_points(crs, "EPSG:4326", x.tolist(), y.tolist())[:2]
    except CPLE_BaseError:  # beyond what the projection can do, or no CRS of the Earth
        lon = lat = [math.nan] * len(x)
    return np.radians(lon), np.radians(lat)


def _steps(crs: Any, transform: Affine, columns: Floats, rows: Floats) -> tuple[Floats, Floats]:
    """Metres east and north, (2, K) each, of one pixel to the right and one pixel down at K points."""
    half = 0.5
    ends = [(columns + half, rows), (columns - half, rows), (columns, rows + half), (columns, rows - half)]
    lon, lat = zip(*(_places(crs, transform, *end) for end in ends), strict=True)
    meridian, normal = _curvature((lat[0] + lat[1]) / 2)
    turn = [(a - b + math.pi) % (2 * math.pi) - math.pi for a, b in ((lon[0], lon[1]), (lon[2], lon[3]))]
    east = np.stack(turn) * normal * np.cos((lat[0] + lat[1]) / 2)
    north = np.stack([lat[0] - lat[1], lat[2] - lat[3]]) * meridian
    return east, north


def _planar(crs: Any, transform: Affine) -> tuple[float, float, float]:
    """Length to the right, length down (metres) and area (square metres) of a pixel in the plane of a projected CRS."""
    unit = crs.units_factor[1] if crs is not None else 1.0
    across, down = math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e)
    return across * unit, down * unit, abs(transform.determinant) * unit**2


def metres_per_pixel(crs: Any, transform: Affine, size: tuple[int, int]) -> tuple[float, float]:
    """Metres between neighbouring pixels to the right and downwards, in the middle of a raster of ``size`` (H, W)."""
    if not crs.is_geographic:
        return _planar(crs, transform)[:2]
    east, north = _steps(crs, transform, np.array([size[1] / 2]), np.array([size[0] / 2]))
    across, down = np.hypot(east, north)[:, 0].tolist()
    return across, down


def row_areas(crs: Any, transform: Affine, size: tuple[int, int]) -> tuple[Floats | None, str]:
    """Ground area of a pixel in each row of a raster.

    A projected CRS counts in its plane, as GIS programs do, unless that is off by more than one per cent in the middle
    of the raster (Web Mercator is off by half at 45 degrees): then, and in a geographic CRS, areas are those on the
    WGS 84 ellipsoid, taken in the middle column.  Without a CRS pixels have no area.

    Args:
        crs: Coordinate reference system, or None.
        transform: Pixel to coordinate.
        size: (H, W) in pixels.

    Returns:
        (H,) float64 square metres, or None; and how they were found, in words.
    """
    if crs is None:
        return None, "no CRS: pixels only"
    rows = np.arange(size[0]) + 0.5
    if not crs.is_geographic:
        planar = _planar(crs, transform)[2]
        middle = _on_ellipsoid(crs, transform, np.array([size[0] / 2]), size[1])[0]
        if not np.isfinite(middle) or not middle or abs(planar / middle - 1) <= _DISTORTED:
            return np.full(size[0], planar), "in the plane of the projected CRS"
    return _on_ellipsoid(crs, transform, rows, size[1]), "on the WGS 84 ellipsoid"


def _on_ellipsoid(crs: Any, transform: Affine, rows: Floats, width: int) -> Floats:
    east, north = _steps(crs, transform, np.full(len(rows), width / 2), rows)
    return np.abs(east[0] * north[1] - east[1] * north[0])
