"""Maps of a folder as one layer: a tile index that GDAL 3.9 reads as a raster (GTI), and a VRT for older programs.

Both name the maps by their paths from the folder, so that it can be moved, copied or uploaded as a whole.  They are
written here, since rasterio has no function for either; GDAL reads them.
Source: GDAL's documentation of the drivers GTI and VRT.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import numpy as np
import shapely
from rasterio import Affine
from rasterio._err import CPLE_BaseError  # errors of GDAL that rasterio lets through as they are
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import calculate_default_transform
from rasterio.warp import transform as transform_points

from rsseg.io.files import replacing
from rsseg.io.footprints import crs_code
from rsseg.io.georeference import GeoReference
from rsseg.io.vector_files import GPKG_VERSION, building, fixed_date
from rsseg.mapping.styles import add_palette, xml_bytes
from rsseg.messages import few
from rsseg.metainfo import IGNORE, ClassTable

__all__ = ["GTI", "MADE", "VRT", "Mosaic", "is_own", "plan_mosaic", "write_mosaic"]

GTI, VRT = "mosaic.gti.gpkg", "mosaic.vrt"
MADE = "made by rsseg"
"""Stands in every file of a folder of maps, which may be written again."""
_log = logging.getLogger("rsseg")
_LAYER, _FIELD = "maps", "location"
_ALIGNED = 1e-3  # pixels
_SIMILAR = 1.1  # as large as the finest pixels, at most
_TOUCH = 0.4  # pixels; GDAL lets an index differ from its files by one
_TORN = 1 / 6  # of the whole outline, between two of its points
_LARGEST = 2**31 - 1  # pixels of a side
_SMALLEST = 256  # pixels of the longer side of the smallest overview


@dataclass(frozen=True)
class Mosaic:
    """Maps on one grid.

    Attributes:
        crs: Of the grid.
        transform: Of the grid, north up.
        size: (H, W) in pixels.
        maps: Where each map lies, by name in the order in which they are drawn; later ones cover earlier ones.
        outlines: Each map's outline in the CRS of the grid.
        aligned: Whether all maps are on pixels of the grid, so that nothing is resampled.
    """

    crs: CRS
    transform: Affine
    size: tuple[int, int]
    maps: Mapping[str, GeoReference]
    outlines: Sequence[shapely.Polygon]
    aligned: bool

    @property
    def overlaps(self) -> int:
        """Pairs of maps that have more than a tenth of a pixel's breadth of ground in common."""
        shrunk = [outline.buffer(-0.1 * self.transform.a) for outline in self.outlines]
        first, second = shapely.STRtree(shrunk).query(shrunk, predicate="intersects")
        return int((first < second).sum())


def is_own(data: bytes) -> bool:
    """Whether a mosaic or a collection was written by rsseg, so that it may be replaced."""
    return MADE.encode() in data


def plan_mosaic(maps: Mapping[str, GeoReference], crs: CRS | None = None) -> Mosaic | None:
    """The grid that holds some maps: their own pixels where they agree, else the finest pixels over all of them.

    Args:
        maps: Where each map lies, by its path from the folder.
        crs: Of the grid; None takes the CRS of most maps.

    Returns:
        None where no map can be part of one, which needs a CRS, and rows that run to the south.
    """
    usable = {name: maps[name] for name in sorted(maps) if _is_upright(maps[name])}
    if left := sorted(maps.keys() - usable.keys()):
        _log.warning("%s", few(f"{len(left)} of {len(maps)} maps are not part of the mosaic, which needs a CRS and a "
                               "transform with north up (gdalwarp makes one):", left))  # fmt: skip
    if not usable:
        return None
    codes = Counter(found.crs.to_wkt() for found in usable.values() if found.crs is not None)
    crs = crs or CRS.from_wkt(min(codes, key=lambda text: (-codes[text], text)))
    drawn = _outlines(usable, crs)
    if not drawn:
        return None
    usable, outlines = {name: usable[name] for name in drawn}, list(drawn.values())
    others = [name for name, found in usable.items() if found.crs != crs]
    if others:
        code = crs_code(crs) or crs.to_string()
        _log.info("%s", few(f"{len(others)} maps have another CRS than the mosaic, {code}, and are warped where it is "
                            "read:", others))  # fmt: skip
    first = next(iter(usable.values()))
    if not others and all(_offsets(found, first) for found in usable.values()):
        return _on_one_grid(crs, usable, outlines)
    grid = _finest_grid(list(usable.values()), crs)
    across, down = grid.a, -grid.e
    west, south, east, north = shapely.total_bounds(np.array(outlines, object)).tolist()
    west = grid.c + np.floor((west - grid.c) / across + _ALIGNED) * across
    north = grid.f + np.ceil((north - grid.f) / down - _ALIGNED) * down
    size = int(np.ceil((north - south) / down - _ALIGNED)), int(np.ceil((east - west) / across - _ALIGNED))
    if max(size) > _LARGEST:
        _log.warning("a mosaic of all maps would have %d x %d pixels, more than GDAL opens; name "
                     "a CRS with larger pixels, or put maps that lie far apart into folders", *size[::-1])  # fmt: skip
        return None
    return Mosaic(crs, Affine(across, 0, float(west), 0, -down, float(north)), size, usable, outlines, False)


def _is_upright(found: GeoReference) -> bool:
    a, b, _, d, e, _ = found.transform[:6]
    return found.crs is not None and found.has_coordinates and not found.gcps and not b and not d and a > 0 > e


def _outlines(maps: Mapping[str, GeoReference], crs: CRS) -> dict[str, shapely.Polygon]:
    """The outlines of those that lie in a CRS in one piece; the others are named."""
    found = {name: _outline(one, crs) for name, one in maps.items()}
    if lost := [name for name, outline in found.items() if outline is None]:
        _log.warning("%s", few(f"{len(lost)} of {len(maps)} maps are not part of the mosaic, whose CRS does not hold "
                               "them in one piece (rsseg collect FOLDER --crs names another one):", lost))  # fmt: skip
    return {name: outline for name, outline in found.items() if outline is not None}


def _outline(found: GeoReference, crs: CRS) -> shapely.Polygon | None:
    """The outline in a CRS; straight sides in another one are followed at 17 points.

    Returns:
        None where it has none there, or is torn apart, as by the antimeridian.
    """
    height, width = found.size
    along = np.linspace(0, 1, 2 if found.crs == crs else 17)
    one, zero = np.ones_like(along), np.zeros_like(along)
    columns = np.concatenate([along, one, 1 - along, zero]) * width
    rows = np.concatenate([zero, along, one, 1 - along]) * height
    x, y = found.coordinates(columns, rows)
    if found.crs == crs:
        return shapely.Polygon(np.column_stack([x, y]))
    try:
        x, y = (np.asarray(values) for values in transform_points(found.crs, crs, x.tolist(), y.tolist())[:2])
    except (CPLE_BaseError, CRSError):
        return None
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    outline, steps = shapely.Polygon(np.column_stack([x, y])), np.hypot(np.diff(x), np.diff(y))
    return outline if outline.is_valid and steps.max() < _TORN * steps.sum() else None


def _offsets(found: GeoReference, first: GeoReference) -> tuple[int, int] | None:
    """Columns and rows from the corner of the first map, if both have the same pixels."""
    own, other = found.transform, first.transform
    height, width = found.size
    if abs(own.a / other.a - 1) * width > _ALIGNED or abs(own.e / other.e - 1) * height > _ALIGNED:
        return None
    column, row = (own.c - other.c) / other.a, (own.f - other.f) / other.e
    near = abs(column - round(column)) <= _ALIGNED and abs(row - round(row)) <= _ALIGNED
    return (round(column), round(row)) if near else None


def _on_one_grid(crs: CRS, maps: Mapping[str, GeoReference], outlines: Sequence[shapely.Polygon]) -> Mosaic:
    first = next(iter(maps.values()))
    found = [(_offsets(one, first) or (0, 0), one.size) for one in maps.values()]
    west, north = min(column for (column, _), _ in found), min(row for (_, row), _ in found)
    east = max(column + size[1] for (column, _), size in found)
    south = max(row + size[0] for (_, row), size in found)
    a, _, c, _, e, f = first.transform[:6]
    grid = Affine(a, 0, c + west * a, 0, e, f + north * e)
    return Mosaic(crs, grid, (south - north, east - west), maps, outlines, True)


def _finest_grid(maps: Sequence[GeoReference], crs: CRS) -> Affine:
    """The finest pixels of the maps in a CRS, on which these are shown as they are; or finer ones of another CRS."""
    grids = [_grid(found, crs) for found in maps]
    across, down = min(grid.a for grid in grids), min(-grid.e for grid in grids)
    own = [grid for grid, found in zip(grids, maps, strict=True) if found.crs == crs]
    finest = min(own or grids, key=lambda grid: -grid.a * grid.e)
    if finest.a <= _SIMILAR * across and -finest.e <= _SIMILAR * down:
        return finest
    return Affine(across, 0, finest.c, 0, -down, finest.f)


def _grid(found: GeoReference, crs: CRS) -> Affine:
    """Where a map's pixels lie in a CRS."""
    transform = found.transform
    if found.crs != crs:
        height, width = found.size
        west, north = transform.c, transform.f
        bounds = west, north + height * transform.e, west + width * transform.a, north
        transform = calculate_default_transform(found.crs, crs, width, height, *bounds)[0]
    return transform


def write_mosaic(folder: Path, mosaic: Mosaic, table: ClassTable) -> list[Path]:
    """Write the tile index, and a VRT where nothing has to be resampled; each is whole or not there.

    Args:
        folder: That of the maps; one process at a time may write there.
        mosaic: The grid.
        table: Names and colours of the classes.

    Returns:
        The files.

    Raises:
        OSError: Writing failed.
    """
    files = [folder / GTI]
    with building(folder / GTI) as made:
        _write_index(made, mosaic, table)
    if mosaic.aligned:
        files.append(folder / VRT)
        with replacing(folder / VRT, "mosaic") as out:
            out.write(_vrt(mosaic, table))
    return files


def _write_index(path: Path, mosaic: Mosaic, table: ClassTable) -> None:
    """Write the outlines, and into the layer's metadata the document by which GDAL takes them for a raster."""
    from pyogrio.raw import write

    crs = crs_code(mosaic.crs) or mosaic.crs.to_wkt()
    # GDAL 3.10 leaves out maps that follow one which a window only touches, so outlines are a bit smaller; those of
    # maps that it warps, whose extents it rounds, are larger.
    inside, slack = -_TOUCH * mosaic.transform.a, mosaic.transform.a
    outlines = [outline.buffer(inside if found.crs == mosaic.crs else slack, join_style="mitre")
                for outline, found in zip(mosaic.outlines, mosaic.maps.values(), strict=True)]  # fmt: skip
    geometry = shapely.to_wkb(np.array(outlines, object), byte_order=1)
    with fixed_date():
        write(path, geometry, [np.array(list(mosaic.maps), object)], [_FIELD], driver="GPKG", layer=_LAYER,
              geometry_type="Polygon", crs=crs, dataset_options={"VERSION": GPKG_VERSION},
              layer_metadata={"LOCATION_FIELD": _FIELD},
              layer_options={"DESCRIPTION": f"all maps, {MADE}"})  # fmt: skip
    root = Element("GDALMultiDomainMetadata")
    SubElement(root, "Metadata", domain="xml:GTI", format="xml").append(_gti(mosaic, table))
    with closing(sqlite3.connect(path)) as base:  # pyogrio writes metadata of the default domain only
        base.execute("UPDATE gpkg_metadata SET metadata = ?", (xml_bytes(root).decode(),))
        base.commit()


def _gti(mosaic: Mosaic, table: ClassTable) -> Element:
    root = Element("GDALTileIndexDataset")
    height, width = mosaic.size
    for key, value in {
        "LocationField": _FIELD,
        "SortField": _FIELD,
        "GeoTransform": ",".join(map(repr, mosaic.transform.to_gdal())),
        "XSize": width,
        "YSize": height,
    }.items():
        SubElement(root, key).text = str(value)
    band = SubElement(root, "Band", band="1", dataType="Byte")
    SubElement(band, "NoDataValue").text = str(IGNORE)
    add_palette(band, table)
    factor = 2
    while max(height, width) / factor >= _SMALLEST:  # the maps have the same ones
        SubElement(SubElement(root, "Overview"), "Factor").text = str(factor)
        factor *= 2
    return root


def _vrt(mosaic: Mosaic, table: ClassTable) -> bytes:
    height, width = mosaic.size
    root = Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    SubElement(root, "SRS").text = mosaic.crs.to_wkt()
    SubElement(root, "GeoTransform").text = ", ".join(map(repr, mosaic.transform.to_gdal()))
    SubElement(SubElement(root, "Metadata"), "MDI", key="DESCRIPTION").text = f"all maps, {MADE}"
    band = SubElement(root, "VRTRasterBand", dataType="Byte", band="1")
    SubElement(band, "NoDataValue").text = str(IGNORE)
    add_palette(band, table)
    grid = GeoReference(mosaic.size, mosaic.crs, mosaic.transform)
    for name, found in mosaic.maps.items():
        rows, columns = found.size
        column, row = _offsets(found, grid) or (0, 0)
        source = SubElement(band, "ComplexSource")
        SubElement(source, "SourceFilename", relativeToVRT="1").text = name
        SubElement(source, "SourceBand").text = "1"
        shape = {"RasterXSize": str(columns), "RasterYSize": str(rows), "DataType": "Byte"}
        SubElement(source, "SourceProperties", {**shape, "BlockXSize": "512", "BlockYSize": "512"})
        size: dict[str, Any] = {"xSize": str(columns), "ySize": str(rows)}
        SubElement(source, "SrcRect", xOff="0", yOff="0", **size)
        SubElement(source, "DstRect", xOff=str(column), yOff=str(row), **size)
        SubElement(source, "NODATA").text = str(IGNORE)
    return xml_bytes(root)
