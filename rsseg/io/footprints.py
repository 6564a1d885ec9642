"""Where a raster lies on the globe: its outline in longitude and latitude, and the code of its CRS."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # errors of GDAL that rasterio lets through as they are
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform as transform_points

from rsseg.errors import DataError
from rsseg.io.georeference import GeoReference

__all__ = ["crs_code", "footprint"]

_STEPS, _POLAR_STEPS = 8, 64
"""Parts of a side: straight sides of a raster are bent in longitude and latitude, and more so near a pole."""
_POLAR = 75  # degrees of latitude
_DIGITS = 7  # a centimetre


def crs_code(crs: CRS) -> str | None:
    """``EPSG:32633`` of a CRS that is exactly the one with that code."""
    found = crs.to_authority(confidence_threshold=100)
    return ":".join(found) if found is not None and CRS.from_authority(*found) == crs else None


def footprint(georeference: GeoReference) -> tuple[dict[str, Any], list[float]] | None:
    """The outline of a raster as a GeoJSON geometry, and its bounds (west, south, east, north) in degrees.

    An outline that crosses the antimeridian is cut there; its west is then larger than its east.  One that goes round a
    pole reaches up to it.

    Returns:
        None where the raster has no coordinates on Earth.
    """
    if georeference.no_metres is not None or georeference.crs is None:
        return None
    ring = _ring(georeference, _STEPS)
    if ring is not None and np.abs(ring[:, 1]).max() > _POLAR:
        ring = _ring(georeference, _POLAR_STEPS)
    if ring is None:
        return None
    shape = shapely.Polygon(_round_poles(ring))
    lon, south, right, north = shape.bounds
    shape = _rounded(shapely.make_valid(shape))
    pieces = [_turned(_polygons(shape, shapely.box(turn - 180, -90, turn + 180, 90)), -turn)
              for turn in range(0, 360 * (1 + int(right > 180) + int(right > 540)), 360)]  # fmt: skip
    parts = [piece for piece in pieces if not piece.is_empty]
    if not parts:
        return None
    whole = shapely.union_all(parts)
    west, _, east, _ = whole.bounds
    if right - lon >= 360:
        west, east = -180.0, 180.0
    elif len(parts) > 1:
        west, east = parts[0].bounds[0], parts[1].bounds[2]
    bounds = [round(float(value), _DIGITS) for value in (west, south, east, north)]
    return shapely.geometry.mapping(shapely.orient_polygons(whole)), bounds


def _ring(georeference: GeoReference, steps: int) -> NDArray[np.float64] | None:
    """(N, 2) longitude and latitude of points along the sides; None where they are not all on Earth."""
    height, width = georeference.size
    along = np.linspace(0, 1, steps, endpoint=False)
    sides = [(along, 0 * along), (0 * along + 1, along), (1 - along, 0 * along + 1), (0 * along, 1 - along)]
    columns, rows = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    try:
        x, y = georeference.coordinates(columns * width, rows * height)
        found = transform_points(georeference.crs, "EPSG:4326", x.tolist(), y.tolist())
    except (CPLE_BaseError, CRSError, DataError):
        return None
    ring = np.column_stack([np.asarray(values, np.float64) for values in found[:2]])
    if not np.isfinite(ring).all() or np.abs(ring[:, 1]).max() > 90:
        return None
    return np.round(ring, _DIGITS)


def _round_poles(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ring with longitudes that run on over 180, the least between -180 and 180, and closed along a pole within."""
    at_pole = np.abs(ring[:, 1]) == 90  # where every longitude is as good: those of both neighbours
    if at_pole.any() and not at_pole.all():
        ring = np.roll(ring, -int(np.argmin(at_pole)), axis=0)
        rows = [row for i, (lon, lat) in enumerate(ring)
                for row in ([(ring[i - 1, 0], lat), (ring[(i + 1) % len(ring), 0], lat)] if abs(lat) == 90
                            else [(lon, lat)])]  # fmt: skip
        ring = np.array(rows)
    lon = np.unwrap(np.append(ring[:, 0], ring[0, 0]), period=360)
    lat = np.append(ring[:, 1], ring[0, 1])
    if abs(lon[-1] - lon[0]) > 180:
        pole = np.copysign(90, lat.mean())
        lon, lat = np.append(lon, [lon[-1], lon[0]]), np.append(lat, [pole, pole])
    lon = lon - 360 * np.floor((np.round(lon.min(), _DIGITS) + 180) / 360)
    return np.round(np.column_stack([lon, lat]), _DIGITS)


def _polygons(shape: shapely.Geometry, box: shapely.Polygon) -> shapely.Geometry:
    """What of a shape lies in a box, without the points and lines in which they only touch."""
    found = shapely.get_parts(shapely.intersection(shape, box))
    return shapely.union_all([part for part in found if part.area > 0])


def _turned(shape: shapely.Geometry, degrees: float) -> shapely.Geometry:
    return _rounded(shapely.transform(shape, lambda points: points + np.array([degrees, 0])))


def _rounded(shape: shapely.Geometry) -> shapely.Geometry:
    """On the grid of the digits, if that leaves something of it."""
    on_grid = shapely.set_precision(shape, 10**-_DIGITS)
    return shape if on_grid.is_empty else shapely.transform(on_grid, lambda points: np.round(points, _DIGITS))
