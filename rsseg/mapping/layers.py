"""Polygons as files that GIS programs open: GeoPackage, GeoJSON, FlatGeobuf and GeoParquet, in batches.

GeoPackages are written batch by batch.  GeoJSON and FlatGeobuf files can only be written in one go, so they are
streamed from a GeoPackage beside them, which goes again: memory never holds more than a batch.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from rsseg.errors import ConfigError
from rsseg.io.areas import ground_areas
from rsseg.io.footprints import crs_code
from rsseg.io.georeference import GeoReference
from rsseg.io.vector_files import DATE, GPKG_VERSION, building, fixed_date
from rsseg.mapping.styles import qgis_style
from rsseg.mapping.vectors import Polygons
from rsseg.metainfo import ClassTable
from rsseg.structures.validity import mend_shapes

__all__ = ["FORMATS", "Batch", "check_format", "polygon_shapes", "write_batches", "write_layer"]

FORMATS = {"gpkg": "GPKG", "geojson": "GeoJSON", "fgb": "FlatGeobuf", "parquet": "GeoParquet"}
"""Names of the formats by the suffix of their files."""

Columns = Mapping[str, NDArray[Any]]
"""Name of a field -> its value for each class, int32 or text."""

_log = logging.getLogger("rsseg")
_LAYER, _STYLES = "classes", "layer_styles"
_POLYGONS, _POINTS = 5000, 500_000  # of a batch


@dataclass
class Batch:
    """WKB of N shapes, and their attributes (N,) by name."""

    geometry: NDArray[np.object_]
    fields: dict[str, NDArray[Any]]


def check_format(suffix: str) -> None:
    """See that files of a format can be written.

    Raises:
        ConfigError: There is no such format, or a package is missing.
    """
    if suffix not in FORMATS:
        raise ConfigError(f"polygons are written as {', '.join(FORMATS)}, not as {suffix!r}")
    if suffix == "parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                'GeoParquet needs the package pyarrow: python -m pip install "rsseg[optional]"; or choose gpkg or fgb'
            ) from error


def write_layer(
    path: Path,
    found: Iterable[Polygons],
    table: ClassTable,
    georeference: GeoReference,
    columns: Columns | None = None,
) -> int:
    """Write polygons as the layer ``classes`` of a new file, which is whole or not there.

    Fields are ``class_id``, ``class`` and ``area_m2``, the area of the geometry as it is written (``area_px`` where
    pixels have no size on the ground).  A GeoPackage has the classes' colours as its default style.  Coordinates are in
    the raster's CRS; only GeoJSON cannot name one without a code, and then gets WGS 84.  Outer rings run against the
    clock.  The same polygons give the same bytes.

    Args:
        path: The file; its suffix (see :data:`FORMATS`) says in which format.
        found: Polygons in pixels.
        table: Names of the classes.
        georeference: Of the map.
        columns: Fields in the place of ``class_id`` and ``class``, by name: a value for each class of the table.

    Returns:
        The number of polygons.

    Raises:
        ConfigError: There is no such format.
        OSError: Writing failed, for example on a full disk.
    """
    suffix = path.suffix[1:].lower()
    crs = georeference.crs
    if suffix == "geojson" and crs is not None and crs_code(crs) is None:
        crs = CRS.from_epsg(4326)
    if columns is None:
        ids, names = np.arange(len(table.classes), dtype=np.int32), np.array(table.classes, object)
        columns = {"class_id": ids, "class": names}
    return write_batches(path, _batches(found, columns, georeference, crs), table, crs)


def write_batches(
    path: Path, batches: Iterator[Batch], table: ClassTable, crs: CRS | None, geometry_type: str = "Polygon"
) -> int:
    """Write shapes with any attributes as the layer ``classes`` of a new file, which is whole or not there.

    Args:
        path: The file; its suffix (see :data:`FORMATS`) says in which format.
        batches: One or more, with the same attributes; among them is ``class``.
        table: The classes, for the default style of a GeoPackage.
        crs: Of the coordinates.
        geometry_type: ``Polygon`` or ``MultiPolygon``.

    Returns:
        The number of shapes.

    Raises:
        ConfigError: There is no such format.
        OSError: Writing failed, for example on a full disk.
    """
    suffix = path.suffix[1:].lower()
    check_format(suffix)
    with building(path) as made:
        write = _write_parquet if suffix == "parquet" else _write_ogr
        count = write(made, batches, crs, geometry_type)
        if suffix == "gpkg":
            _write_style(made, table)
    return count


def _batches(
    found: Iterable[Polygons], columns: Columns, georeference: GeoReference, crs: CRS | None
) -> Iterator[Batch]:
    """Polygons in coordinates of a CRS, some thousand at a time; one empty batch where there are none."""
    area = "area_m2" if georeference.no_metres is None else "area_px"
    none = True
    for polygons in _portions(found):
        none = False
        ids, areas = polygons.labels.astype(np.int32), polygons.areas.astype(np.float64)
        shapes = polygon_shapes(polygons, georeference, crs)
        if georeference.affine is None or crs != georeference.crs:  # outlines of the map itself never cross
            parts, numbers = mend_shapes(shapes)
            if parts is not shapes:
                share = shapely.area(parts) / np.bincount(numbers, shapely.area(parts), len(ids))[numbers]
                shapes, ids, areas = parts, ids[numbers], areas[numbers] * np.nan_to_num(share, nan=1.0)
                _log.warning("polygons that crossed themselves in the coordinates of the file were made valid")
        exact = ground_areas(shapes, georeference) if crs == georeference.crs else None
        areas = areas if exact is None else exact
        fields = {name: values[ids] for name, values in columns.items()}
        yield Batch(shapely.to_wkb(shapes, byte_order=1), {**fields, area: areas})
    if none:
        fields = {name: values[:0] for name, values in columns.items()}
        yield Batch(np.empty(0, object), {**fields, area: np.empty(0)})


def _portions(found: Iterable[Polygons]) -> Iterator[Polygons]:
    """The same polygons, some thousand at a time."""
    waiting: list[Polygons] = []
    for part in chain(found, [None]):
        if part is not None:
            waiting.append(part)
        if not waiting or (part is not None and sum(map(len, waiting)) < _POLYGONS):
            continue
        whole = Polygons.joined(waiting)
        ends = np.cumsum(np.bincount(whole.rings.owners, whole.rings.lengths))
        first = 0
        while first < len(whole):
            points = int(ends[first - 1]) if first else 0
            last = min(first + _POLYGONS, max(first + 1, int(np.searchsorted(ends, points + _POINTS, "right"))))
            yield whole.part(first, min(last, len(whole)))
            first = last
        waiting = []


def polygon_shapes(polygons: Polygons, georeference: GeoReference, crs: CRS | None) -> NDArray[np.object_]:
    """Shapely polygons (N,) in coordinates of a CRS, or in those of the raster if that is None.

    Outer rings run against the clock there, holes with it.

    Args:
        polygons: One or more, in pixels.
        georeference: Of the raster.
        crs: Of the result; not None where the raster has one.
    """
    rings = polygons.rings
    x, y = georeference.coordinates(*rings.points.T)
    if crs != georeference.crs:
        x, y = (np.asarray(v) for v in transform_points(georeference.crs, crs, x.tolist(), y.tolist())[:2])
    numbers = np.repeat(np.arange(len(rings.lengths)), rings.lengths)
    points = np.column_stack([x, y])
    if not shapely.is_ccw(shapely.linearrings(points[: rings.lengths[0]])):  # as with y upwards: turn all at once
        points = points[np.repeat(2 * rings.starts + rings.lengths - 1, rings.lengths) - np.arange(len(points))]
    lines = shapely.linearrings(points, indices=numbers)
    outer = np.diff(rings.owners, prepend=-1) > 0
    turned = shapely.is_ccw(lines) != outer
    lines[turned] = shapely.reverse(lines[turned])
    shapes: NDArray[np.object_] = shapely.polygons(lines, indices=rings.owners)
    return shapes


def _write_ogr(path: Path, batches: Iterable[Batch], crs: CRS | None, geometry_type: str) -> int:
    """Write a file by GDAL; it is read back to count what is in it, since a full disk may go unnoticed."""
    import pyogrio
    from pyogrio.errors import DataLayerError
    from pyogrio.raw import open_arrow, write, write_arrow

    name = None if crs is None else crs_code(crs) or crs.to_wkt()
    about: dict[str, Any] = dict(layer=_LAYER, geometry_type=geometry_type, crs=name)
    package, count = path.with_name(f"{path.stem}.gpkg"), 0
    with fixed_date():
        for number, batch in enumerate(batches):
            new = {"append": True} if number else {"dataset_options": {"VERSION": GPKG_VERSION}}
            write(package, batch.geometry, list(batch.fields.values()), list(batch.fields), driver="GPKG",
                  **new, **about)  # fmt: skip
            count += len(batch.geometry)
        if path != package:
            with open_arrow(package, layer=_LAYER, batch_size=_POLYGONS) as (meta, stream):
                write_arrow(stream, path, driver=FORMATS[path.suffix[1:]],
                            geometry_name=meta["geometry_name"] or "wkb_geometry", **about)  # fmt: skip
    there = pyogrio.read_info(path, force_feature_count=True)["features"]
    if there != count:
        raise DataLayerError(f"it holds {there} of {count} polygons; is the disk full?")
    return count


def _write_style(path: Path, table: ClassTable) -> None:
    """Write the table in which QGIS looks for the default style of a GeoPackage's layer."""
    from pyogrio.raw import write

    text, style = "", qgis_style(table).decode()
    row: dict[str, Any] = {
        "f_table_catalog": text, "f_table_schema": text, "f_table_name": _LAYER, "f_geometry_column": "geom",
        "styleName": table.name[:30], "styleQML": style, "styleSLD": text, "useAsDefault": True,
        "description": f"classes of {table.name}", "owner": text, "ui": text,
        "update_time": np.datetime64(DATE.rstrip("Z"), "ms"),
    }  # fmt: skip
    values = [np.array([value], object if isinstance(value, str) else None) for value in row.values()]
    utc, options = {"update_time": np.array([100])}, {"FID": "id", "DATETIME_PRECISION": "MILLISECOND"}
    with fixed_date():
        write(path, None, values, list(row), driver="GPKG", layer=_STYLES, layer_options=options, gdal_tz_offsets=utc)


def _write_parquet(path: Path, batches: Iterator[Batch], crs: CRS | None, geometry_type: str) -> int:
    """Write GeoParquet 1.1 with a row group per batch, and the bounds of each shape, by which readers skip groups."""
    import pyarrow as pa
    from pyarrow import parquet

    sides = ["xmin", "ymin", "xmax", "ymax"]
    column = {
        "encoding": "WKB",
        "geometry_types": [geometry_type],
        "crs": None if crs is None else crs.to_dict(projjson=True),
        "orientation": "counterclockwise",
        "covering": {"bbox": {side: ["bbox", side] for side in sides}},
    }
    about = json.dumps({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}})
    first = next(batches)
    kinds = {"O": pa.string(), "i": pa.int32(), "f": pa.float64()}
    fields = [(name, kinds[values.dtype.kind]) for name, values in first.fields.items()]
    fields += [("bbox", pa.struct([(side, pa.float64()) for side in sides])), ("geometry", pa.binary())]
    schema = pa.schema(fields, metadata={"geo": about})
    count = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in chain([first], batches):
            bounds = shapely.bounds(shapely.from_wkb(batch.geometry)).reshape(-1, 4)
            boxes = pa.StructArray.from_arrays([pa.array(side) for side in bounds.T], sides)
            columns = [*batch.fields.values(), boxes, batch.geometry]
            arrays = [c if c is boxes else pa.array(c, kind) for c, (_, kind) in zip(columns, fields, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(batch.geometry)
    return count
