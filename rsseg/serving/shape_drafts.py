"""Polygons that are to be kept: checked, made valid, measured, and with the spelling of classes that are there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsseg.errors import ConfigError, DataError
from rsseg.io.areas import shape_areas
from rsseg.metainfo.table import IGNORE, name_key
from rsseg.serving.places import Place
from rsseg.serving.shape_bodies import MOST_POINTS, MultiPolygonBody, PolygonBody
from rsseg.serving.shape_exports import Classes
from rsseg.serving.shape_log import Shape
from rsseg.structures.validity import mend_shapes

__all__ = ["area_of", "canonical", "checked_geometry", "geojson", "spellings"]

_DIGITS = 9  # of degrees: a tenth of a millimetre


def checked_geometry(body: PolygonBody | MultiPolygonBody, place: Place, units: str) -> Any:
    """A valid shapely polygon or multipolygon in degrees.

    Raises:
        DataError: It encloses nothing, is too large, or does not lie on the layer.
    """
    many = [body.coordinates] if isinstance(body, PolygonBody) else body.coordinates
    if sum(len(ring) for rings in many for ring in rings) > MOST_POINTS:
        raise DataError(f"a shape has more than {MOST_POINTS} points; simplify it")
    try:
        drawn = [shapely.Polygon(rings[0], rings[1:]) for rings in many]
    except ValueError as error:
        raise DataError(f"a ring needs three different points ({error})") from error
    moved = np.array(drawn, object)
    if units == "pixels":
        moved = place.pixels_to_degrees(moved)
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise DataError("a point is nowhere on the Earth")
    west, south, east, north = shapely.total_bounds(moved).tolist()
    if west < -540 or east > 540 or south < -90 or north > 90:
        raise DataError("points are longitude, latitude in degrees; give units=pixels for columns and rows of a raster")
    parts, _ = mend_shapes(moved)
    parts = shapely.get_parts(shapely.union_all(parts[shapely.is_valid(parts)]))  # the others enclose nothing
    parts = parts[shapely.area(parts) > 0]
    if not len(parts):
        raise DataError("a shape encloses nothing")
    whole = shapely.orient_polygons(parts[0] if len(parts) == 1 else shapely.multipolygons(parts))
    whole = _turned(whole, place)
    if not shapely.intersects(whole, shapely.box(*place.bounds)):
        raise DataError("a shape lies outside of the layer")
    return whole


def _turned(shape: Any, place: Place) -> Any:
    """A shape in degrees in the copy of the world in which the bounds of the layer are."""
    west, _, east, _ = shape.bounds
    turn = 360 * round(((place.bounds[0] + place.bounds[2]) - (west + east)) / 720)
    return shapely.transform(shape, lambda points: points + np.array([turn, 0])) if turn else shape


def geojson(geometry: Any) -> dict[str, Any]:
    """A shapely geometry in degrees as GeoJSON, rounded to a tenth of a millimetre."""

    def rounded(value: Any) -> Any:
        return round(value, _DIGITS) if isinstance(value, float) else [rounded(part) for part in value]

    found = json.loads(shapely.to_geojson(geometry))
    return {"type": found["type"], "coordinates": rounded(found["coordinates"])}


def spellings(own: Classes, shapes: Iterable[Shape]) -> dict[str, str]:
    """Key of a class name -> how it is spelled, of the classes of a layer and of its shapes."""
    known: dict[str, str] = {}
    for name in (*own[0], *(shape.label for shape in shapes)):
        known.setdefault(name_key(name), name)
    return known


def canonical(label: str, known: dict[str, str]) -> str:
    """A class name as it is spelled already; a new one is added to the spellings.

    Raises:
        ConfigError: There would be too many classes.
    """
    found = known.setdefault(name_key(label), label)
    if len(known) > IGNORE:
        raise ConfigError(f"class {label!r}: the layer has {IGNORE} classes already, and more are not possible")
    return found


def area_of(geometry: Any, place: Place) -> tuple[float, str]:
    """Area of a shapely geometry in degrees, and its unit: ``m2``, or ``px`` where a raster has no metres."""
    shapes: NDArray[np.object_] = np.array([geometry], object)
    unit = "m2" if place.measured.no_metres is None else "px"
    return float(shape_areas(place.from_degrees(shapes), place.measured)[0]), unit
