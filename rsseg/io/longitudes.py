"""Longitudes and latitudes: metres between them, and what counts on across the antimeridian or from 0 to 360."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # errors of GDAL that rasterio lets through as they are
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

__all__ = ["SPHEROID", "counted_beside", "counted_from", "in_degrees", "metres_between", "radians_of"]

Floats = NDArray[np.float64]
Span = tuple[float, float]

SPHEROID = 6378137.0, 1 / 298.257223563
"""Semi-major axis in metres and flattening of WGS 84."""
_TURN = 360.0
_MERIDIAN = re.compile(r'PRIMEM\["[^"]*",([-+.\deE]+)(,AUTHORITY\["[^"]*","[^"]*"\])?\]')


def in_degrees(crs: CRS | None) -> bool:
    """Whether a CRS has longitudes in degrees."""
    return crs is not None and crs.is_geographic and math.isclose(crs.units_factor[1], math.radians(1), rel_tol=1e-9)


@functools.lru_cache(maxsize=64)
def counted_from(crs: CRS, longitude: float) -> CRS | None:
    """A CRS in degrees with another prime meridian, so that longitudes begin again half a turn from there.

    Args:
        crs: In degrees.
        longitude: Of the new prime meridian.

    Returns:
        The CRS; None where it cannot be written so.
    """
    wkt = crs.to_wkt()
    found = _MERIDIAN.search(wkt)
    if found is None:
        return None
    meridian = f'PRIMEM["{longitude:g} degrees on",{float(found[1]) + longitude!r}]'
    return CRS.from_wkt(f"{wkt[: found.start()]}{meridian}{wkt[found.end() :]}")


def counted_beside(crs: CRS, span: Span, other: CRS, other_span: Span | None) -> tuple[CRS, float]:
    """How longitudes in degrees have to be counted so that positions in another CRS become positions in this one.

    In the same CRS they are moved by whole turns, where the two have none in common.  Of another CRS, PROJ gives them
    from -180 to 180 degrees: what lies beyond is counted from its own middle.

    Args:
        crs: In degrees.
        span: Longitudes held.
        other: The other CRS.
        other_span: Of the other raster; None where it is not known.

    Returns:
        The CRS to use, and what to add to longitudes.
    """
    low, high = span
    if crs == other:
        if other_span is None or max(low, other_span[0]) < min(high, other_span[1]):
            return crs, 0.0
        return crs, _TURN * round((sum(other_span) - low - high) / 2 / _TURN)
    if low >= -_TURN / 2 and high <= _TURN / 2:
        return crs, 0.0
    middle = float(round((low + high) / 2))
    turned = counted_from(crs, middle)
    return (crs, 0.0) if turned is None else (turned, -middle)


def radians_of(crs: CRS, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Longitude and latitude in radians of coordinates; NaN beyond what the projection can do."""
    if crs.is_geographic:
        unit = crs.units_factor[1]  # degrees, or the grads of old maps
        return x * unit, y * unit
    try:
        lon, lat = transform_points(crs, "EPSG:4326", x.tolist(), y.tolist())[:2]
    except CPLE_BaseError:
        lon = lat = [math.nan] * len(x)
    return np.radians(lon), np.radians(lat)


def metres_between(lon: Sequence[Floats], lat: Sequence[Floats]) -> Floats:
    """(2, 2, K) metres east and north, on WGS 84, from the second to the first point and from the fourth to the third.

    Args:
        lon: Longitudes of the four (K,) in radians.
        lat: Latitudes.
    """
    middle = (lat[0] + lat[1]) / 2
    axis, flattening = SPHEROID
    squared = flattening * (2 - flattening)
    term = 1 - squared * np.sin(middle) ** 2
    meridian, normal = axis * (1 - squared) / term**1.5, axis / np.sqrt(term)
    turns = [(a - b + math.pi) % (2 * math.pi) - math.pi for a, b in ((lon[0], lon[1]), (lon[2], lon[3]))]
    east = np.stack(turns) * normal * np.cos(middle)
    north = np.stack([lat[0] - lat[1], lat[2] - lat[3]]) * meridian
    return np.stack([east, north])
