"""Where a raster lies on the globe: its outline in longitude and latitude, and the code of its CRS."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from rasterio._err import CPLE_BaseError  # errors of GDAL that rasterio lets through as they are
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform as transform_points

from rsseg.errors import DataError
from rsseg.io.georeference import GeoReference

__all__ = ["crs_code", "footprint"]

_STEPS = 8
"""Parts of a side: straight sides of a raster are bent in longitude and latitude."""
_DIGITS = 7  # a centimetre


def crs_code(crs: CRS) -> str | None:
    """``EPSG:32633`` of a CRS that is exactly the one with that code."""
    found = crs.to_authority(confidence_threshold=100)
    return ":".join(found) if found is not None and CRS.from_authority(*found) == crs else None


def footprint(georeference: GeoReference) -> tuple[dict[str, Any], list[float]] | None:
    """The outline of a raster as a GeoJSON geometry, and its bounds (west, south, east, north) in degrees.

    An outline that crosses the antimeridian is cut there; its west is then larger than its east.

    Returns:
        None where the raster has no coordinates on Earth.
    """
    if georeference.no_metres is not None or georeference.crs is None:
        return None
    height, width = georeference.size
    along = np.linspace(0, 1, _STEPS, endpoint=False)
    sides = [(along, 0 * along), (0 * along + 1, along), (1 - along, 0 * along + 1), (0 * along, 1 - along)]
    columns, rows = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    try:
        x, y = georeference.coordinates(columns * width, rows * height)
        found = transform_points(georeference.crs, "EPSG:4326", x.tolist(), y.tolist())
    except (CPLE_BaseError, CRSError, DataError):
        return None
    lon, lat = (np.asarray(values, np.float64) for values in found[:2])
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()) or np.abs(lat).max() > 90:
        return None
    lon = np.unwrap(lon, period=360)
    lon -= 360 * np.floor((lon.min() + 180) / 360)
    lon, lat = np.round(lon, _DIGITS), np.round(lat, _DIGITS)
    shape = shapely.Polygon(np.column_stack([lon, lat]))
    west, south, east, north = shape.bounds
    if east > 180:
        parts = shape.intersection(shapely.box(-180, -90, 180, 90)), shape.intersection(shapely.box(180, -90, 540, 90))
        turned = shapely.transform(parts[1], lambda points: points - [360, 0])
        shape = shapely.set_precision(shapely.multipolygons([parts[0], turned]), 10**-_DIGITS)
        west, east = (west, round(east - 360, _DIGITS)) if east - west < 360 else (-180.0, 180.0)
    return shapely.geometry.mapping(shapely.orient_polygons(shape)), [west, south, east, north]
