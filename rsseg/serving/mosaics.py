"""Rasters that only name others, VRT and GTI: which files they lead to, and which classes these have."""

from __future__ import annotations

from collections.abc import Iterator
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
        index = path.parent / name
    try:
        _, _, _, columns = pyogrio.raw.read(index, columns=[field], read_geometry=False)
    except DataSourceError as error:
        raise DataError(f"{index}: is no index of tiles ({error})") from error
    if not columns:
        raise DataError(f"{index}: has no field {field!r} with the names of its tiles")
    for name in columns[0].tolist():
        yield str(name), index.parent
        if (Path.cwd() / str(name)).exists():  # GDAL looks there as well
            yield str(name), Path.cwd()


def _xml(path: Path) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(path.read_bytes())
    except ElementTree.ParseError as error:
        raise DataError(f"{path}: is no XML ({error})") from error
