"""How many pixels of a class map each class has, and how much ground they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.warp import transform as transform_points
from rasterio.windows import Window

from rsseg.io.georeference import SPHEROID, GeoReference
from rsseg.io.rasters import opened, read_stored

__all__ = ["ClassAreas", "dataset_class_areas", "ground_areas", "measure_class_areas", "shape_areas"]

_ROWS = 256
_PIECES = 64  # of an outline, whose lines are straight in the coordinates of a projected CRS


@dataclass(frozen=True)
class ClassAreas:
    """Pixels and ground of every class.

    Attributes:
        pixels: (C,) int64.
        metres: (C,) float64 square metres, or None where pixels have no size.
        method: How a pixel's area was found, in words.
        unmapped: Pixels of no class.
    """

    pixels: NDArray[np.int64]
    metres: NDArray[np.float64] | None
    method: str
    unmapped: int


def measure_class_areas(path: Path, classes: int) -> ClassAreas:
    """Count the class ids 0..``classes`` - 1 in the first band of a raster, a few rows at a time.

    Raises:
        OSError: The raster cannot be read.
    """
    with opened(path) as file:
        return dataset_class_areas(file, GeoReference.of(file), classes)


def dataset_class_areas(
    file: Any,
    georeference: GeoReference,
    classes: int,
    window: Window | None = None,
    inside: Callable[[Window], NDArray[np.bool_]] | None = None,
) -> ClassAreas:
    """Count the class ids 0..``classes`` - 1 in the first band of an open dataset, a few rows at a time.

    Args:
        file: Dataset of rasterio, which may be an overview.
        georeference: Where its pixels lie.
        classes: Number of classes.
        window: What is counted, by default all of it.
        inside: Which pixels (h, w) of a part of the window count, by default all.

    Raises:
        OSError: The raster cannot be read.
    """
    window = Window(0, 0, file.width, file.height) if window is None else window
    areas = georeference.row_areas
    pixels, metres, unmapped = np.zeros(classes, np.int64), np.zeros(classes), 0
    first, last = window.row_off, window.row_off + window.height
    for y in range(first, last, _ROWS):
        part = Window(window.col_off, y, window.width, min(_ROWS, last - y))
        labels = read_stored(file, 1, part).astype(np.uint8)
        kept = None if inside is None else inside(part)
        rows = labels if kept is None else [row[mask] for row, mask in zip(labels, kept, strict=True)]
        counts = np.stack([np.bincount(row, minlength=256)[:classes] for row in rows])
        unmapped += (labels.size if kept is None else int(kept.sum())) - int(counts.sum())
        pixels += counts.sum(axis=0)
        if areas is not None:
            metres += areas[y : y + len(labels)] @ counts
    return ClassAreas(pixels, None if areas is None else metres, georeference.area_method, unmapped)


def ground_areas(polygons: NDArray[np.object_], georeference: GeoReference) -> NDArray[np.float64] | None:
    """Square metres of shapely polygons (N,) in the CRS of a raster whose rows of pixels have no common size.

    That are rasters bent by control points, and rotated ones in degrees; None for all others, whose pixels' areas
    (:attr:`GeoReference.row_areas`) are exact in each row.  Lines are straight in the coordinates.
    """
    import shapely

    unit, affine, crs = georeference.plane_unit, georeference.affine, georeference.crs
    if georeference.no_metres is not None or crs is None:
        return None
    if unit is not None:
        return shapely.area(polygons) * unit**2 if affine is None else None
    if not crs.is_geographic or (affine is not None and not affine.b and not affine.d):
        return None
    return _ellipsoid_areas(polygons, crs.units_factor[1])


def shape_areas(shapes: NDArray[np.object_], georeference: GeoReference) -> NDArray[np.float64]:
    """Square metres of shapely polygons (N,) of any kind in the coordinates of a raster; pixels where it has no metres.

    A projected CRS counts in its plane and all others on the ellipsoid, as for :attr:`GeoReference.row_areas`.
    """
    import shapely

    crs, unit = georeference.crs, georeference.plane_unit
    shapes = shapely.orient_polygons(shapes)
    if georeference.no_metres is not None or crs is None:
        affine = georeference.affine
        return np.asarray(shapely.area(shapes) / (1.0 if affine is None else abs(affine.determinant)), np.float64)
    if unit is not None:
        return np.asarray(shapely.area(shapes) * unit**2, np.float64)
    if crs.is_geographic:
        return _ellipsoid_areas(shapes, crs.units_factor[1])
    lines = shapely.segmentize(shapes, np.maximum(shapely.length(shapes) / _PIECES, 1e-9))
    points = shapely.get_coordinates(lines).T.tolist()
    lon, lat = transform_points(crs, "EPSG:4326", *points)[:2] if points[0] else ([], [])
    return _ellipsoid_areas(shapely.set_coordinates(lines, np.column_stack([lon, lat])), math.pi / 180)


def _ellipsoid_areas(polygons: NDArray[np.object_], unit: float) -> NDArray[np.float64]:
    """Square metres on WGS 84 of polygons (N,) of any kind, of longitudes and latitudes in units of so many radians."""
    import shapely

    parts, owner = shapely.get_parts(polygons, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    polygon = owner[part]
    points, ring = shapely.get_coordinates(rings, return_index=True)
    lon, lat = points.T * unit
    inside = ring[1:] == ring[:-1]
    middle = (lat[1:] + lat[:-1]) / 2
    strips = np.diff(lon) * (_below(lat[1:]) + 4 * _below(middle) + _below(lat[:-1])) / 6  # Simpson's rule
    sums = np.bincount(polygon[ring[1:]][inside], strips[inside], len(polygons))
    return np.abs(sums)  # holes run the other way


def _below(latitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Square metres between the equator and a latitude, for a radian of longitude.

    Source: Snyder, Map Projections: A Working Manual (1987), equation 3-12.
    """
    axis, flattening = SPHEROID
    squared = flattening * (2 - flattening)
    root, sine = math.sqrt(squared), np.sin(latitude)
    q = sine / (1 - squared * sine**2) + np.arctanh(root * sine) / root
    return np.asarray(axis**2 * (1 - squared) / 2 * q, np.float64)
