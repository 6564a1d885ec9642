"""Rasters that only name others, VRT and GTI: which files they lead to, and which classes these have."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rsseg.errors import DataError
from rsseg.io.listing import has_suffix
from rsseg.io.rasters import opened
from rsseg.reports.maps.files import MapHeader, read_map_header

__all__ = ["MOSAICS", "class_header", "files_of_mosaic"]

MOSAICS = (".vrt", ".gti", ".gti.gpkg", ".gti.fgb", ".gti.parquet")
"""How names of mosaics end."""
_VRT_FILES = ("SourceFilename", "SourceDataset")
_DEPTH = 4


def files_of_mosaic(path: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """All files to which a mosaic leads, by other mosaics, too; none for other rasters.

    Raises:
        DataError: It cannot be understood, leads to an address, or mosaics are nested more than four deep.
        OSError: It cannot be read.
    """
    if not has_suffix(path, MOSAICS):
        return
    if not depth:
        raise DataError(f"{path}: is a mosaic of mosaics, more than {_DEPTH} deep")
    for name, folder in _of_vrt(path) if has_suffix(path, [".vrt"]) else _of_index(path):
        if ":" in name or name.startswith(("/vsi", "<")):
            raise DataError(f"{path}: refers to {name!r}, which is no file in a folder that is served")
        file = folder / name
        yield file
        yield from files_of_mosaic(file, depth - 1)


def class_header(path: Path, file: Any) -> MapHeader:
    """Names and colours of a class map; those of its first map for a mosaic that has none of its own.

    Args:
        path: The map.
        file: The map as rasterio opens it.

    Raises:
        DataError: It is no class map.
    """
    try:
        return read_map_header(file)
    except DataError:
        if file.count != 1 or file.dtypes[0] != "uint8" or not has_suffix(path, MOSAICS):
            raise
    members = (member for member in files_of_mosaic(path) if not has_suffix(member, (*MOSAICS, ".gpkg", ".fgb")))
    first = next(members, None)
    if first is None:
        raise DataError(f"{path}: is a mosaic of nothing")
    with opened(first) as member:
        return replace(read_map_header(member), settings={})


def _of_vrt(path: Path) -> Iterator[tuple[str, Path]]:
    """Names of files, and the folder from which GDAL takes each."""
    for element in _xml(path).iter():
        name = (element.text or "").strip()
        if element.tag in _VRT_FILES and name:
            yield name, path.parent if element.get("relativeToVRT") == "1" else Path.cwd()


def _of_index(path: Path) -> Iterator[tuple[str, Path]]:
    import pyogrio
    from pyogrio.errors import DataSourceError

    index, field = path, "location"
    if has_suffix(path, [".gti"]):
        root = _xml(path)
        name = root.findtext("IndexDataset")
        field = root.findtext("LocationField") or field
        if name is None:
            raise DataError(f"{path}: names no index of tiles (IndexDataset)")
        yield name, path.parent
        yield from _overviews(root, path)
        index = path.parent / name
    try:
        about = pyogrio.read_info(index)["layer_metadata"] or {}
        _, _, _, columns = pyogrio.raw.read(index, columns=[field], read_geometry=False)
    except DataSourceError as error:
        raise DataError(f"{index}: is no index of tiles ({error})") from error
    if not columns:
        raise DataError(f"{index}: has no field {field!r} with the names of its tiles")
    if has_suffix(index, [".gpkg"]):
        yield from _of_package(index)
    names = [*columns[0].tolist(), *(value for key, value in about.items() if key.upper().endswith("_DATASET"))]
    for name in map(str, names):
        yield name, index.parent
        if (Path.cwd() / name).exists():  # GDAL looks there as well
            yield name, Path.cwd()


def _of_package(index: Path) -> Iterator[tuple[str, Path]]:
    """Rasters that the document in a GeoPackage names besides the tiles."""
    with closing(sqlite3.connect(f"{index.resolve().as_uri()}?mode=ro", uri=True)) as base:
        if not base.execute("SELECT 1 FROM sqlite_master WHERE name = 'gpkg_metadata'").fetchone():
            return
        texts = [str(text) for (text,) in base.execute("SELECT metadata FROM gpkg_metadata")]
    for text in texts:
        if "GDALTileIndexDataset" in text:
            yield from _overviews(_parsed(text, index), index)


def _overviews(root: ElementTree.Element, path: Path) -> Iterator[tuple[str, Path]]:
    """Rasters that stand for overviews or masks in a document of a GTI."""
    for element in root.iter("Dataset"):
        yield (element.text or "").strip(), path.parent


def _xml(path: Path) -> ElementTree.Element:
    return _parsed(path.read_bytes(), path)


def _parsed(text: str | bytes, path: Path) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise DataError(f"{path}: is no XML ({error})") from error
