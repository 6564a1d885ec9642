"""The change between two maps as files that GIS programs open: a raster with names and colours, and polygons."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.windows import Window

import rsseg
from rsseg.errors import ConfigError
from rsseg.io.files import replacing
from rsseg.io.georeference import GeoReference
from rsseg.io.tables import json_text
from rsseg.mapping.change.grids import windows_of
from rsseg.mapping.change.transitions import Transitions
from rsseg.mapping.layers import FORMATS, write_layer
from rsseg.mapping.output import describe_band, write_cog, write_overviews
from rsseg.mapping.products import warn_of_coordinates
from rsseg.mapping.styles import attribute_table, qgis_style
from rsseg.mapping.vectors import polygons
from rsseg.metainfo import ClassTable

__all__ = ["FILES", "write_change_layer", "write_change_raster"]

_log = logging.getLogger("rsseg")
_TABLES = ("transitions.csv", "matrix.csv", "matrix_pixels.csv", "classes.csv")
_RASTER = ("change.tif", "change.tif.aux.xml", "change.qml")
FILES = ("change.json", "change.html", *_RASTER, *_TABLES, *(f"change.{suffix}" for suffix in FORMATS))
"""Names of all files that a comparison may write."""
_UNCHANGED = 32767  # in the raster of what has changed, whose other values are numbers of pairs of classes


def table_of_codes(found: Transitions, codes: Sequence[int]) -> ClassTable:
    """Names and colours of some codes, in their order."""
    names, colours = tuple(map(found.name, codes)), tuple(map(found.colour, codes))
    return ClassTable("change", "pairs of classes", names, colours, ((),) * len(codes))


def write_change_raster(flat: Path, folder: Path, found: Transitions) -> None:
    """Write ``change.tif``, its attribute table for GDAL and its style for QGIS.

    Args:
        flat: The codes, uncompressed; gets names and colours.
        folder: Where to.
        found: What the codes stand for.

    Raises:
        OSError: Writing failed, for example on a full disk.
    """
    codes = found.occurring if found.wide else list(range(len(found.classes) ** 2))
    table, threads = table_of_codes(found, codes), len(os.sched_getaffinity(0))
    tags = {"RSSEG_BEFORE": found.about["before"], "RSSEG_AFTER": found.about["after"],
            "RSSEG_GRID": found.about["grid_of"], "RSSEG_VERSION": rsseg.__version__,
            "RSSEG_CODES": f"before * {len(found.classes)} + after",
            "RSSEG_COMPARED_CLASSES": json_text(list(found.classes))}  # fmt: skip
    try:
        with rasterio.open(flat, "r+") as file:
            file.update_tags(**tags)
            file.set_band_description(1, "change")
            if not found.wide:
                describe_band(file, table)
    except RasterioError as error:
        raise OSError(f"cannot write {flat}: {error}") from error
    if not found.wide:
        write_overviews(flat)
    write_cog(flat, folder / "change.tif", "mode" if found.wide else None, threads)
    for left in folder.glob("flat.tif.*"):
        left.unlink()
    counts = found.pixels.ravel()[codes].tolist()
    with replacing(folder / "change.tif.aux.xml") as xml:
        xml.write(attribute_table(table, counts, codes if found.wide else None))
    with replacing(folder / "change.qml") as style:
        style.write(qgis_style(table_of_codes(found, found.occurring), found.occurring))


def write_change_layer(
    flat: Path, folder: Path, found: Transitions, suffix: str, min_area: float, tolerance: float
) -> None:
    """Write polygons of what has changed, with the fields ``code``, ``class``, ``from``, ``to`` and ``area_m2``.

    Args:
        flat: The codes, uncompressed.
        folder: Where to.
        found: What the codes stand for.
        suffix: The format, see :data:`rsseg.mapping.layers.FORMATS`.
        min_area: Smallest polygon in square metres (pixels, where they have no size).
        tolerance: Pixels by which outlines may be moved to need fewer points.

    Raises:
        OSError: Writing failed.
        ConfigError: A package is missing, or there are too many pairs of classes.
    """
    codes = sorted(found.changes())
    if len(codes) > _UNCHANGED:
        raise ConfigError(f"{len(codes)} pairs of classes have changed; there are polygons of at most {_UNCHANGED}: "
                          "merge classes by --merge, or remove --vectors")  # fmt: skip
    georeference, layer = GeoReference.of(flat), folder / f"change.{suffix}"
    warn_of_coordinates(folder.parent / layer.name, georeference)
    only = folder / "changed.tif"
    _write_changed(flat, only, found, codes)
    count = len(found.classes)
    columns = {
        "code": np.array(codes, np.int32),
        "class": np.array([found.name(code) for code in codes], object),
        "from": np.array([found.classes[code // count] for code in codes], object),
        "to": np.array([found.classes[code % count] for code in codes], object),
    }
    shapes = polygons(only, georeference.row_areas, min_area, tolerance)
    written = write_layer(layer, shapes, table_of_codes(found, codes), georeference, columns)
    only.unlink()
    _log.info("%s: %d polygons", layer.name, written)


def _write_changed(flat: Path, path: Path, found: Transitions, codes: Sequence[int]) -> None:
    """Write a raster with the number of each changed pixel's pair of classes; the others have no data."""
    numbers = np.full(found.nodata + 1, _UNCHANGED, np.int16)
    numbers[list(codes)] = np.arange(len(codes))
    try:
        with rasterio.open(flat) as source:
            profile = {**source.profile, **GeoReference.of(source).profile, "dtype": "int16", "nodata": _UNCHANGED}
            with rasterio.open(path, "w", **profile) as file:
                for window in windows_of(source.width, source.height):
                    place = Window(*window.flatten())
                    file.write(numbers[source.read(1, window=place)], 1, window=place)
    except RasterioError as error:
        raise OSError(f"cannot write {path}: {error}") from error
