"""Polygons as files: GeoPackage and GeoJSON, written one by one."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine

from rsseg.mapping.vectors import Polygon, twice_area
from rsseg.metainfo import ClassTable

__all__ = ["LAYERS", "write_geojson", "write_geopackage"]

_TABLES = """
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY, organization TEXT NOT NULL,
    organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
    description TEXT DEFAULT '', last_change DATETIME NOT NULL, min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE,
    srs_id INTEGER, FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL UNIQUE, column_name TEXT NOT NULL,
    geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL,
    PRIMARY KEY (table_name, column_name), FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
    FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE classes (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom POLYGON, class_id INTEGER NOT NULL,
    class TEXT NOT NULL, area DOUBLE NOT NULL);
"""
_INDEX = """
CREATE TABLE gpkg_extensions (table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL,
    scope TEXT NOT NULL, CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
INSERT INTO gpkg_extensions VALUES ('classes', 'geom', 'gpkg_rtree_index',
    'http://www.geopackage.org/spec120/#extension_rtree', 'write-only');
CREATE VIRTUAL TABLE rtree_classes_geom USING rtree(id, minx, maxx, miny, maxy);
"""
_THERE, _GONE = "(NEW.geom NOTNULL AND NOT ST_IsEmpty(NEW.geom))", "(NEW.geom ISNULL OR ST_IsEmpty(NEW.geom))"
_ENTER = (
    "INSERT OR REPLACE INTO rtree_classes_geom VALUES (NEW.fid, ST_MinX(NEW.geom), ST_MaxX(NEW.geom), "
    "ST_MinY(NEW.geom), ST_MaxY(NEW.geom));"
)
_LEAVE = "DELETE FROM rtree_classes_geom WHERE id = OLD.fid;"
_TRIGGERS = {
    "insert": ("INSERT", _THERE, _ENTER),
    "update1": ("UPDATE OF geom", f"OLD.fid = NEW.fid AND {_THERE}", _ENTER),
    "update2": ("UPDATE OF geom", f"OLD.fid = NEW.fid AND {_GONE}", _LEAVE),
    "update3": ("UPDATE", f"OLD.fid != NEW.fid AND {_THERE}", f"{_LEAVE} {_ENTER}"),
    "update4": (
        "UPDATE",
        f"OLD.fid != NEW.fid AND {_GONE}",
        "DELETE FROM rtree_classes_geom WHERE id IN (OLD.fid, NEW.fid);",
    ),
    "delete": ("DELETE", "OLD.geom NOTNULL", _LEAVE),
}
"""What keeps the index right when a GIS program edits the layer; the functions are the program's."""
_UNDEFINED = [
    ("Undefined cartesian SRS", -1, "NONE", -1, "undefined", None),
    ("Undefined geographic SRS", 0, "NONE", 0, "undefined", None),
]
_WGS84 = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433],AUTHORITY["EPSG","4326"]]'
)
_OWN_ID = 100000

Points = NDArray[np.float64]


def _outlines(polygon: Polygon, transform: Affine) -> list[Points]:
    """Rings in coordinates, the outer one against the clock, holes with it."""
    out = []
    for number, ring in enumerate(polygon.rings):
        x = transform.a * ring[:, 0] + transform.b * ring[:, 1] + transform.c
        y = transform.d * ring[:, 0] + transform.e * ring[:, 1] + transform.f
        points = np.stack([x, y], axis=1)
        # relative to a corner, so that large coordinates do not swallow a small area
        out.append(points if (twice_area(points - points[0]) > 0) == (number == 0) else points[::-1])
    return out


def write_geojson(path: Path, found: Iterable[Polygon], table: ClassTable, crs: Any, transform: Affine) -> int:
    """Write polygons as GeoJSON, a feature a line, in the raster's CRS (named in the member ``crs`` unless WGS 84).

    Returns:
        The number of polygons.

    Raises:
        OSError: Writing failed.
    """
    code = crs.to_authority() if crs is not None else None
    head: dict[str, Any] = {"type": "FeatureCollection", "name": "classes"}
    if code is not None and code != ("EPSG", "4326"):
        head["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:{code[0]}::{code[1]}"}}
    count = 0
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head)[:-1] + ', "features": [')
        for polygon in found:
            rings = [ring.tolist() for ring in _outlines(polygon, transform)]
            name = table.classes[polygon.label]
            about = {"class_id": polygon.label, "class": name, "area": round(polygon.area, 3)}
            row = {"type": "Feature", "properties": about, "geometry": {"type": "Polygon", "coordinates": rings}}
            file.write((",\n" if count else "\n") + json.dumps(row))
            count += 1
        file.write("\n]}\n")
    return count


def _blob(rings: list[Points], srs: int) -> bytes:
    """Geometry of a GeoPackage: header with envelope, then well-known binary."""
    (left, bottom), (right, top) = rings[0].min(axis=0), rings[0].max(axis=0)
    parts = [struct.pack("<2sBBi4d", b"GP", 0, 0b11, srs, left, right, bottom, top)]
    parts.append(struct.pack("<BII", 1, 3, len(rings)))
    for ring in rings:
        parts += [struct.pack("<I", len(ring)), ring.astype("<f8").tobytes()]
    return b"".join(parts)


def _reference(crs: Any) -> tuple[int, list[tuple]]:
    """Number of a CRS in the file, and the rows that explain it."""
    rows = [*_UNDEFINED, ("WGS 84", 4326, "EPSG", 4326, _WGS84, None)]
    if crs is None:
        return -1, rows
    authority, code = crs.to_authority() or ("NONE", str(_OWN_ID))
    number = int(code) if code.isdigit() else _OWN_ID
    if number != 4326:
        rows.append((f"{authority}:{code}", number, authority, number, crs.to_wkt(), None))
    return number, rows


def _fill(base: sqlite3.Connection, found: Iterable[Polygon], table: ClassTable, transform: Affine, srs: int) -> Points:
    """Write the polygons and their spatial index; returns the box (2, 2) around all of them."""
    box = np.array([[np.inf, np.inf], [-np.inf, -np.inf]])
    for number, polygon in enumerate(found, start=1):
        rings = _outlines(polygon, transform)
        low, high = rings[0].min(axis=0), rings[0].max(axis=0)
        box[0], box[1] = np.minimum(box[0], low), np.maximum(box[1], high)
        row = (number, _blob(rings, srs), polygon.label, table.classes[polygon.label], polygon.area)
        base.execute("INSERT INTO classes VALUES (?, ?, ?, ?, ?)", row)
        entry = (number, *(float(v) for v in (low[0], high[0], low[1], high[1])))
        base.execute("INSERT INTO rtree_classes_geom VALUES (?, ?, ?, ?, ?)", entry)
    return box


def write_geopackage(path: Path, found: Iterable[Polygon], table: ClassTable, crs: Any, transform: Affine) -> int:
    """Write polygons as the layer ``classes`` of a GeoPackage in the raster's CRS.

    Returns:
        The number of polygons.

    Raises:
        OSError: Writing failed.

    Source: OGC 12-128r18, GeoPackage 1.3, clauses 1.1 and 2.1, annex F.3 (the index).
    """
    path.unlink(missing_ok=True)
    srs, systems = _reference(crs)
    try:
        with contextlib.closing(sqlite3.connect(path)) as base:
            base.executescript(f"PRAGMA application_id = {0x47504B47}; PRAGMA user_version = 10300; {_TABLES} {_INDEX}")
            base.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, ?)", systems)
            box = _fill(base, found, table, transform, srs)
            count = int(base.execute("SELECT COUNT(*) FROM classes").fetchone()[0])
            corners = [float(v) for v in box.ravel()] if count else [None] * 4
            # always the same moment, so that the same map gives the same bytes
            content = ("classes", "features", "classes", "", "2000-01-01T00:00:00.000Z", *corners, srs)
            base.execute("INSERT INTO gpkg_contents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", content)
            base.execute("INSERT INTO gpkg_geometry_columns VALUES ('classes', 'geom', 'POLYGON', ?, 0, 0)", (srs,))
            for name, (when, where, what) in _TRIGGERS.items():
                base.execute(f"CREATE TRIGGER rtree_classes_geom_{name} AFTER {when} ON classes WHEN {where} "
                             f"BEGIN {what} END")  # fmt: skip
            base.commit()
    except sqlite3.Error as error:
        raise OSError(f"cannot write {path}: {error}") from error
    return count


LAYERS: dict[str, Callable[[Path, Iterable[Polygon], ClassTable, Any, Affine], int]] = {
    "gpkg": write_geopackage,
    "geojson": write_geojson,
}
"""Writers of polygons by the suffix of their files."""
