"""Rasters that only name others, VRT and GTI: which files they lead to, and which classes these have."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

from rsseg.errors import DataError
from rsseg.io.listing import has_suffix
from rsseg.io.rasters import opened
from rsseg.reports.maps.files import MapHeader, read_map_header
from rsseg.serving.places import Bounds

__all__ = ["MOSAICS", "Member", "class_header", "index_of", "index_texts", "members_of_mosaic", "vrt_sources"]

MOSAICS = (".vrt", ".gti", ".gti.gpkg", ".gti.fgb", ".gti.parquet")
"""How names of mosaics end."""
_VRT_FILES = ("SourceFilename", "SourceDataset")
_DRIVERS = ("GPKG", "FlatGeobuf", "Parquet")
"""Of files that may be an index of tiles: those that lead to no other ones."""
_DEPTH = 4
_ELEMENTS = """
VRTDataset SRS GeoTransform GCPList GCP Metadata MDI VRTRasterBand Description UnitType Offset Scale NoDataValue
HideNoDataValue ColorInterp ColorTable Entry CategoryNames Category Histograms HistItem HistMin HistMax BucketCount
IncludeOutOfRange Approximate HistCounts SimpleSource ComplexSource AveragedSource NoDataFromMaskSource
KernelFilteredSource Kernel Size Coefs SourceFilename SourceBand SourceProperties SrcRect DstRect NODATA UseMaskBand
ScaleOffset ScaleRatio Exponent SrcMin SrcMax DstMin DstMax Clamp LUT ColorTableComponent OverviewList Overview
MaskBand BlockXSize BlockYSize SourceDataset GDALWarpOptions WarpMemoryLimit ResampleAlg WorkingDataType Option
Transformer ApproxTransformer MaxError BaseTransformer GenImgProjTransformer SrcGeoTransform SrcInvGeoTransform
DstGeoTransform DstInvGeoTransform ReprojectTransformer ReprojectionTransformer SourceSRS TargetSRS Options
BandList BandMapping SrcNoDataReal SrcNoDataImag DstNoDataReal DstNoDataImag SrcAlphaBand DstAlphaBand Cutline
CutlineBlendDist GDALMultiDomainMetadata GDALTileIndexDataset IndexDataset LocationField SortField SortFieldAsc
Filter ResX ResY MinX MinY MaxX MaxY XSize YSize BandCount DataType NoData Band Factor Dataset
"""
_KNOWN = frozenset(_ELEMENTS.split())
"""Elements of mosaics of which it is known whether they name files."""
_HIDDEN = {"sourcefilename", "sourcedataset", "indexdataset", "dataset", "relativetovrt"}
"""What GDAL, which ignores case and takes attributes for elements, would take for a file's name, or its folder."""


class Member(NamedTuple):
    """A file to which a mosaic leads.

    Attributes:
        path: The file, as GDAL opens it.
        is_index: Whether it is read as an index of tiles, and no raster.
    """

    path: Path
    is_index: bool = False

    @property
    def is_tile(self) -> bool:
        """Whether it is a raster of its own, and no mosaic."""
        return not self.is_index and not has_suffix(self.path, MOSAICS)


def members_of_mosaic(path: Path, depth: int = _DEPTH) -> Iterator[Member]:
    """All files to which a mosaic leads, by other mosaics, too; none for other rasters.

    Raises:
        DataError: It cannot be understood, leads to an address, or mosaics are nested more than four deep.
        OSError: It cannot be read.
    """
    if not has_suffix(path, MOSAICS):
        return
    if not depth:
        raise DataError(f"{path}: is a mosaic of mosaics, more than {_DEPTH} deep")
    index = index_of(path)
    if index is not None and index != path:
        yield Member(index, True)
    for name, folder in _of_vrt(path) if index is None else _of_index(path, index):
        file = folder / _plain(name, path)
        yield Member(file)
        yield from members_of_mosaic(file, depth - 1)


def _plain(name: str, path: Path) -> str:
    if ":" in name or name.startswith(("/vsi", "<")):
        raise DataError(f"{path}: refers to {name!r}, which is no file in a folder that is served")
    return name


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
    first = next((member for member in members_of_mosaic(path) if member.is_tile), None)
    if first is None:
        raise DataError(f"{path}: is a mosaic of nothing")
    with opened(first.path) as member:
        return replace(read_map_header(member), settings={})


def vrt_sources(path: Path) -> Iterator[tuple[ElementTree.Element, str, Path]]:
    """Elements of a VRT that name a file, the name, and the folder from which GDAL takes it."""
    for element in _xml(path).iter():
        for child in element:
            name = child.text or ""
            if child.tag in _VRT_FILES and name.strip():
                yield element, name, path.parent if child.get("relativeToVRT") == "1" else Path.cwd()


def index_of(path: Path) -> Path | None:
    """The index of the tiles of a GTI, which may be the file itself; None for a VRT."""
    if has_suffix(path, [".vrt"]):
        return None
    if not has_suffix(path, [".gti"]):
        return path
    name = _xml(path).findtext("IndexDataset")
    if name is None:
        raise DataError(f"{path}: names no index of tiles (IndexDataset)")
    return path.parent / _plain(name, path)


def index_texts(index: Path, box: Callable[[str | None], Bounds] | None = None) -> tuple[Mapping[str, str], list[str]]:
    """Metadata of an index of tiles, and its texts in order: any may name a tile, as the index says which field does.

    Args:
        index: The file.
        box: Of the index's CRS, the x1, y1, x2, y2 in it that tiles must meet; None for all tiles.

    Raises:
        DataError: It is no index of tiles.
    """
    import pyogrio
    from pyogrio.errors import DataSourceError

    try:
        layers = pyogrio.list_layers(index)
        info = pyogrio.read_info(index)
        if info["driver"] not in _DRIVERS:
            raise DataError(f"{index}: is an index of tiles by {info['driver']}, not {', '.join(_DRIVERS)}")
        texts = [name for name, kind in zip(info["fields"], info["dtypes"], strict=True) if kind == "object"]
        if not texts or len(layers) != 1:
            raise DataError(f"{index}: expected one layer with a field of the names of tiles")
        bounds = None if box is None else box(info["crs"])
        _, numbers, _, columns = pyogrio.raw.read(
            index, columns=texts, read_geometry=False, bbox=bounds, return_fids=True
        )
    except DataSourceError as error:
        raise DataError(f"{index}: is no index of tiles ({error})") from error
    order = np.argsort(numbers)  # a GeoPackage gives those in a box in any order
    return info["layer_metadata"] or {}, [str(text) for column in columns for text in column[order] if text]


def _of_vrt(path: Path) -> Iterator[tuple[str, Path]]:
    """Names of files, and the folder from which GDAL takes each."""
    for _, name, folder in vrt_sources(path):
        yield name, folder


def _of_index(path: Path, index: Path) -> Iterator[tuple[str, Path]]:
    if index != path:
        yield from _overviews(_xml(path), path)
    about, names = index_texts(index)
    if has_suffix(index, [".gpkg"]):
        yield from _of_package(index)
    names += [value for key, value in about.items() if key.upper().endswith("_DATASET")]
    for name in dict.fromkeys(names):
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
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise DataError(f"{path}: is no XML ({error})") from error
    for element in root.iter():
        _check(element, path)
    return root


def _check(element: ElementTree.Element, path: Path) -> None:
    """See that an element can name files only in the ways that are looked at.

    Raises:
        DataError: It might name others.
    """
    wrong = f"<{element.tag}>" if element.tag not in _KNOWN else ""
    for key, value in element.attrib.items():
        if key.lower() in _HIDDEN and (key != "relativeToVRT" or value not in ("0", "1")):
            wrong = f"{key}={value!r}"
        if key == "domain" and value.upper() in ("OVERVIEWS", "GEOLOCATION"):
            wrong = f"metadata of the domain {value}"
    if wrong:
        raise DataError(f"{path}: has {wrong}, by which GDAL may read other files; name the mosaic itself to show it")
