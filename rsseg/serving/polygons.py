"""Polygons of a map, or of the maps of a mosaic, in a view, as GeoJSON in degrees.

They are limited in number, and have no more points than are seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform_bounds

from rsseg.errors import DataError
from rsseg.io.listing import has_suffix
from rsseg.serving.facts import Facts, FactsCache, naming
from rsseg.serving.layers import Layer
from rsseg.serving.mosaic_views import members_in_view
from rsseg.serving.places import DEGREES, EDGE, Bounds, Place, parts_of_view

__all__ = ["LIMIT", "MOST_BYTES", "MOST_MAPS", "read_polygons"]

LIMIT = 2000
"""Polygons of an answer."""
MOST_BYTES = 64 << 20
"""Size of a GeoJSON file, which has no index of places, up to which it is read."""
MOST_MAPS = 100
"""Maps of a mosaic whose polygons are read for an answer."""
_DRIVERS = {".gpkg": "GPKG", ".fgb": "FlatGeobuf", ".geojson": "GeoJSON"}
_BATCH = 5000
_DIGITS = 7
Found = tuple[Any, dict[str, Any]]
"""A shape in degrees and what is told of it."""
_NAMES = {"class_id": "class_id", "class": "class", "area_m2": "area_m2", "area_px": "area_px"}


def read_polygons(layer: Layer, cache: FactsCache, view: Bounds, pixel: float, limit: int = LIMIT) -> dict[str, Any]:
    """Polygons that meet a view.

    Args:
        layer: The map, or a mosaic of maps, whose polygons are read of at most :data:`MOST_MAPS` in the view.
        cache: What is known of maps.
        view: West, south, east, north in degrees.
        pixel: Degrees of longitude of a pixel of the page; outlines are moved by half of that, smaller ones left out.
        limit: Most polygons.

    Returns:
        A ``FeatureCollection`` with the member ``cut``: whether there are more.  Properties are ``class_id``, ``class``
        and ``area_m2`` or ``area_px``.

    Raises:
        LookupError: The map has no polygons.
        DataError: Their file cannot be read.
    """
    maps = _members_in_view(layer, cache, view) if layer.members else [layer]
    found: list[Found] = []
    for own in maps[:MOST_MAPS]:
        found += _of_map(own, cache.of(own), view, pixel, limit + 1 - len(found))
    features = [
        {"type": "Feature", "geometry": shapely.geometry.mapping(shape), "properties": about}
        for shape, about in found[:limit]
    ]
    cut = len(found) > limit or len(maps) > MOST_MAPS
    return {"type": "FeatureCollection", "features": features, "cut": cut}


def _members_in_view(layer: Layer, cache: FactsCache, view: Bounds) -> list[Layer]:
    """Maps of a mosaic that have polygons and meet a view."""
    place = cache.of(layer).place
    with naming(layer):
        return [own for own in members_in_view(layer, place, view) if own.polygons is not None]


def _of_map(layer: Layer, facts: Facts, view: Bounds, pixel: float, limit: int) -> list[Found]:
    bent = not facts.place.own and facts.own.affine is None and facts.own.has_coordinates
    if layer.polygons is None or bent:
        raise LookupError(f"{layer.name} has no polygons beside it; rsseg map --vectors gpkg makes them")
    found: list[Found] = []
    with naming(layer):
        for part in parts_of_view(facts.place, view):
            found += _in_part(layer.polygons, facts, part, pixel, limit - len(found))
    return found


def _in_part(path: Path, facts: Facts, part: Bounds, pixel: float, limit: int) -> list[Found]:
    if limit <= 0:
        return []
    crs, batches = _open(path, facts, part, pixel, limit)
    out: list[Found] = []
    for wkb, columns in batches:
        shapes = _to_degrees(shapely.from_wkb(wkb), crs, facts)
        whole = np.array([shape is not None and not shape.is_empty for shape in shapes], bool)
        boxes = shapely.bounds(shapes)
        seen = (boxes[:, 0] < part[2]) & (part[0] < boxes[:, 2]) & (boxes[:, 1] < part[3]) & (part[1] < boxes[:, 3])
        chosen = np.flatnonzero(whole & seen)[: limit - len(out)]
        shapes = shapely.set_precision(shapely.simplify(shapes[chosen], pixel / 2), 10.0**-_DIGITS, mode="pointwise")
        for number, shape in zip(chosen.tolist(), shapes, strict=True):
            if not shape.is_empty:
                out.append((shape, {name: _plain(column[number]) for name, column in columns.items()}))
        if len(out) >= limit:
            break
    return out


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (int, str)) else None


Batches = Iterator[tuple[NDArray[np.object_], dict[str, Any]]]


def _open(path: Path, facts: Facts, part: Bounds, pixel: float, limit: int) -> tuple[CRS | None, Batches]:
    if has_suffix(path, [".parquet"]):
        return _open_parquet(path)
    if has_suffix(path, [".geojson"]) and path.stat().st_size > MOST_BYTES:
        raise DataError(f"{path}: has more than {MOST_BYTES >> 20} MiB and no index of places; write .gpkg or .fgb")
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError, FeatureError

    try:
        about = pyogrio.read_info(path, layer=0)
        if about["driver"] != _DRIVERS[path.suffix.lower()]:  # such as a text that names another file
            wanted = _DRIVERS[path.suffix.lower()]
            raise DataError(f"{path}: the polygons beside it are no {wanted}, though they are called so")
        crs = _crs(about["crs"])
        names = [name for name in _NAMES if name in about["fields"]]
        where = None
        if "area_m2" in names:  # what is smaller than a pixel of the page is not seen
            side = pixel / 360 * 2 * EDGE * math.cos(math.radians((part[1] + part[3]) / 2))
            where = f"area_m2 >= {side * side:.3f}"
        meta, _, geometry, values = pyogrio.raw.read(
            path, layer=0, columns=names, bbox=_box(facts, crs, part), where=where, max_features=limit
        )
    except (DataSourceError, DataLayerError, FeatureError) as error:
        raise DataError(f"{path}: polygons cannot be read ({error})") from error
    return crs, iter([(geometry, dict(zip(meta["fields"].tolist(), values, strict=True)))])


def _open_parquet(path: Path) -> tuple[CRS | None, Batches]:
    import json

    from pyarrow import ArrowException, parquet

    try:
        file = parquet.ParquetFile(path)
        about = json.loads((file.schema_arrow.metadata or {}).get(b"geo", b"{}"))
        name = about.get("primary_column", "geometry")
        found = about.get("columns", {}).get(name, {}).get("crs", "OGC:CRS84")
        crs = _crs(json.dumps(found) if isinstance(found, dict) else found)
        names = [column for column in _NAMES if column in file.schema_arrow.names]
    except (ArrowException, ValueError, OSError) as error:
        raise DataError(f"{path}: polygons cannot be read ({error})") from error

    def batches() -> Batches:
        for batch in file.iter_batches(_BATCH, columns=[*names, name]):
            columns = {column: batch.column(column).to_pylist() for column in names}
            yield np.array(batch.column(name).to_pylist(), object), columns

    return crs, batches()


def _crs(text: str | None) -> CRS | None:
    try:
        return None if text is None else CRS.from_user_input(text)
    except CRSError as error:
        raise DataError(f"the CRS of the polygons is not known ({error})") from error


def _box(facts: Facts, crs: CRS | None, part: Bounds) -> Bounds | None:
    """A view in the coordinates of the polygons."""
    if crs is not None and facts.place.own:
        west, south, east, north = part
        if crs.is_geographic:
            return west, south, east, north
        left, bottom, right, top = transform_bounds(DEGREES, crs, *part, densify_pts=21)
        return left, bottom, right, top
    corners = facts.place.degrees_to_pixels(np.array([shapely.box(*part)]))
    x1, y1, x2, y2 = _moved(corners, facts.own.coordinates)[0].bounds
    return x1, y1, x2, y2


def _to_degrees(shapes: NDArray[np.object_], crs: CRS | None, facts: Facts) -> NDArray[np.object_]:
    """Polygons in their file's coordinates; those of a map without a place by its pixels."""
    place = facts.place
    if place.own:
        shapes = Place(replace(place.georeference, crs=crs or place.crs), True).to_degrees(shapes)
        middle = (place.bounds[0] + place.bounds[2]) / 2  # of a map across the antimeridian, all on one side
        return _moved(shapes, lambda lon, lat: (lon - 360 * np.round((lon - middle) / 360), lat))
    if facts.own.affine is not None:
        a, b, c, d, e, f = (~facts.own.affine)[:6]
        shapes = _moved(shapes, lambda x, y: (a * x + b * y + c, d * x + e * y + f))
    return place.to_degrees(shapes)


def _moved(shapes: NDArray[np.object_], move: Callable[[Any, Any], tuple[Any, Any]]) -> NDArray[np.object_]:
    out: NDArray[np.object_] = shapely.transform(shapes, lambda points: np.column_stack(move(*points.T)))
    return out
