"""Accepted polygons as files: a GeoPackage in the CRS of the raster, and COCO in its pixels."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsseg.errors import DataError
from rsseg.io.areas import shape_areas
from rsseg.io.coco import CocoWriter
from rsseg.io.files import replacing
from rsseg.io.rasters import opened
from rsseg.io.tables import json_text
from rsseg.mapping.layers import Batch, write_batches
from rsseg.metainfo import ClassTable, word_table
from rsseg.metainfo.table import name_key
from rsseg.serving.layers import Layer
from rsseg.serving.mosaics import class_header
from rsseg.serving.places import Place
from rsseg.serving.shape_log import Shape
from rsseg.structures.validity import mend_shapes

__all__ = ["Classes", "class_table", "classes_of", "geometries", "write_coco", "write_package"]

_BATCH = 5000
_DIGITS = 3
"""Of pixels in COCO files."""
Classes = tuple[tuple[str, ...], tuple[tuple[int, int, int], ...]]


def classes_of(layer: Layer) -> Classes:
    """Names and colours of the classes of a map; none for an image.

    Raises:
        OSError: The map cannot be read.
    """
    if layer.kind != "map":
        return (), ()
    with opened(layer.path) as file:
        try:
            header = class_header(layer.path, file)
        except DataError:
            return (), ()
    return header.classes, header.palette


def class_table(own: Classes, labels: Iterable[str]) -> ClassTable:
    """The classes of a layer, and behind them those that shapes have besides, in the order in which they came up."""
    keys, others = {name_key(name) for name in own[0]}, dict[str, str]()
    for label in labels:
        if (key := name_key(label)) not in keys:
            others.setdefault(key, label)
    return _table(own, tuple(others.values()))


@functools.lru_cache(maxsize=256)
def _table(own: Classes, others: tuple[str, ...]) -> ClassTable:
    names, palette = own
    if not names and not others:
        return ClassTable("shapes", "rsseg serve", (), (), ())
    table = word_table([*names, *others], "the shapes")
    return replace(table, name="shapes", palette=(*palette, *table.palette[len(names) :]))


def geometries(shapes: Sequence[Shape]) -> NDArray[np.object_]:
    """Shapely geometries (N,) in degrees."""
    texts = np.array([json_text(shape.geometry) for shape in shapes], object)
    return np.asarray(shapely.from_geojson(texts), object)


def write_package(path: Path, shapes: Sequence[Shape], table: ClassTable, place: Place) -> int:
    """Write a GeoPackage in the raster's CRS, or in its pixels where it has none.

    Fields are those of the polygons of maps, then score, author, time and the shape's id.

    Returns:
        The number of shapes.

    Raises:
        OSError: Writing failed.
    """
    geometry = place.from_degrees(geometries(shapes))
    geometry = _valid(geometry)
    many = bool((shapely.get_type_id(geometry) == shapely.GeometryType.MULTIPOLYGON).any())
    if many:
        single = shapely.get_type_id(geometry) == shapely.GeometryType.POLYGON
        geometry[single] = [shapely.multipolygons([shape]) for shape in geometry[single]]
    unit = "m2" if place.measured.no_metres is None else "px"
    ids = np.array([table.index(shape.label) for shape in shapes], np.int32)
    fields: dict[str, NDArray[Any]] = {
        "class_id": ids,
        "class": np.array(table.classes, object)[ids],
        f"area_{unit}": shape_areas(geometry, place.measured),
        "score": np.array([np.nan if shape.score is None else shape.score for shape in shapes], np.float64),
        **{name: np.array([getattr(shape, name) for shape in shapes], object) for name in ("author", "time")},
        "shape_id": np.array([shape.id for shape in shapes], object),
    }
    rows = [slice(start, start + _BATCH) for start in range(0, max(len(shapes), 1), _BATCH)]
    batches = (Batch(shapely.to_wkb(geometry[r], byte_order=1), {k: v[r] for k, v in fields.items()}) for r in rows)
    return write_batches(path, batches, table, place.measured.crs, "MultiPolygon" if many else "Polygon")


def _valid(geometry: NDArray[np.object_]) -> NDArray[np.object_]:
    """The same shapes (N,), those that cross themselves made valid; what was cut apart becomes one of several parts."""
    parts, owners = mend_shapes(geometry)
    if parts is geometry:
        return shapely.orient_polygons(geometry)
    valid = shapely.is_valid(parts)  # the others enclose nothing
    return shapely.orient_polygons(np.array(
        [parts[owners == i][0] if (owners == i).sum() == 1 else shapely.union_all(parts[(owners == i) & valid])
         for i in range(len(geometry))], object))  # fmt: skip


def write_coco(path: Path, shapes: Sequence[Shape], table: ClassTable, place: Place, name: str) -> int:
    """Write a COCO instances file in pixels of the raster.

    Polygons are cut at the raster's border, and along vertical lines through their holes, since COCO's have none.

    Args:
        path: The file.
        shapes: What is written, in this order.
        table: The classes.
        place: Of the raster.
        name: Of the image.

    Returns:
        The number of annotations; shapes without ground in the raster have none.

    Raises:
        OSError: Writing failed.
    """
    height, width = place.georeference.size
    pixels = shapely.intersection(_valid(place.degrees_to_pixels(geometries(shapes))), shapely.box(0, 0, width, height))
    with replacing(path) as file:
        writer = CocoWriter(file, f"shapes accepted on {name}", table.classes)
        writer.add_image({"file_name": name, "height": height, "width": width})
        for shape, geometry in zip(shapes, pixels, strict=True):
            rings = [_ring(part) for whole in _polygons(geometry) for part in _without_holes(whole)]
            if not rings:
                continue
            x1, y1, x2, y2 = geometry.bounds
            writer.add_annotation(table.index(shape.label), {
                "segmentation": rings,
                "bbox": np.round([x1, y1, x2 - x1, y2 - y1], _DIGITS).tolist(),
                "area": round(float(geometry.area), _DIGITS),
                "score": shape.score, "author": shape.author, "time": shape.time, "shape_id": shape.id,
            })  # fmt: skip
        writer.close()
        return writer.annotations


def _polygons(geometry: Any) -> list[Any]:
    parts = shapely.get_parts(geometry).tolist()
    return [part for part in parts if part.geom_type == "Polygon" and part.area > 0]


def _without_holes(polygon: Any) -> list[Any]:
    """A polygon cut into some without holes."""
    todo, done = [polygon], []
    while todo:
        shape = todo.pop()
        if not len(shape.interiors):
            done.append(shape)
            continue
        hole, (x1, y1, x2, y2) = shape.interiors[0].bounds, shape.bounds
        middle = (hole[0] + hole[2]) / 2
        for side in (shapely.box(x1, y1, middle, y2), shapely.box(middle, y1, x2, y2)):
            todo += _polygons(shapely.intersection(shape, side))
    return done


def _ring(polygon: Any) -> list[float]:
    points = shapely.get_coordinates(polygon.exterior)[:-1]
    return np.round(points, _DIGITS).ravel().tolist()
