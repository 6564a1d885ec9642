"""Options that select what is mapped: the assets and items of STAC, and an area of interest."""

from __future__ import annotations

import argparse
import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsseg.commands import at_least, numbers
from rsseg.errors import ConfigError, DataError
from rsseg.io.addresses import Address, hide_queries, hide_those_of, is_address, locate, told_cause
from rsseg.mapping.stac import StacRequest

if TYPE_CHECKING:
    from rsseg.mapping.area import Area

__all__ = ["add_selection", "read_area", "request_of", "selected_area"]

_log = logging.getLogger("rsseg")
_LAYER = "|layername="
_DEGREES = "EPSG:4326"


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add the options to a command."""
    add = parser.add_argument
    add("--aoi", metavar="FILE", help="area of interest: polygons of a file, or of FILE|layername=NAME; pixels outside "
        "get no class, windows outside are not computed, and the map is cut to its bounds")  # fmt: skip
    add("--bounds", type=numbers(float, 4), metavar="WEST,SOUTH,EAST,NORTH", help="area of interest in degrees")
    add("--bounds-crs", metavar="CRS", help="CRS of --bounds, such as EPSG:25832 (default: degrees, WGS 84)")
    add("--assets", type=_names, metavar="KEYS", help="STAC: assets whose bands are mapped, such as red,green,blue "
        "(default: the only image of an item, or visual)")  # fmt: skip
    add("--collections", type=_names, default=(), metavar="IDS", help="STAC: collections to search")
    add("--datetime", metavar="TIME", help="STAC: 2024-06, or 2024-06-01/2024-08-31, or ../2024-08-31")
    add("--query", nargs="+", default=(), metavar="CONDITION", help='STAC: conditions, such as "eo:cloud_cover<20"')
    add("--max-items", type=at_least(1), metavar="N", help="STAC: the first N items only")


def selected_area(args: argparse.Namespace) -> Area | None:
    """The area of interest of a command.

    Raises:
        ConfigError: There are two, or the bounds are none.
        DataError: As for :func:`read_area`.
    """
    if args.bounds is None:
        if args.bounds_crs:
            raise ConfigError(f"--bounds-crs {args.bounds_crs}: belongs to --bounds, which is not given")
        return None if args.aoi is None else read_area(str(args.aoi))
    if args.aoi is not None:
        raise ConfigError("--aoi and --bounds both name an area; use one of them")
    return _bounds(tuple(float(value) for value in args.bounds), args.bounds_crs or _DEGREES)


def _bounds(bounds: tuple[float, ...], name: str) -> Area:
    import shapely
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    from rsseg.mapping.area import Area

    if len(bounds) != 4:
        raise ConfigError(f"--bounds {bounds}: expected four numbers, west,south,east,north")
    west, south, east, north = bounds
    text = f"--bounds {','.join(f'{value:.12g}' for value in bounds)}"
    try:
        crs = CRS.from_user_input(name)
    except (CRSError, ValueError) as error:
        raise ConfigError(f"--bounds-crs {name}: is no CRS; expected a code such as EPSG:25832") from error
    if not south < north or (crs.is_geographic and not -90 <= south < north <= 90):
        raise ConfigError(f"{text}: south must be less than north, and degrees from -90 to 90")
    if crs.is_geographic and west > east:  # over the 180th meridian
        east += 360
    if not west < east or (crs.is_geographic and (east - west > 360 or not -360 <= west <= 360)):
        raise ConfigError(f"{text}: expected west,south,east,north with west less than east (in degrees, west may be "
                          "greater: over the 180th meridian)")  # fmt: skip
    if bounds[0] > bounds[2] and east - west > 180:
        _log.warning("%s: reaches over the 180th meridian, %.6g degrees wide; expected west,south,east,north", text,
                     east - west)  # fmt: skip
    return Area.of(f"{text} ({name})", [shapely.box(west, south, east, north)], crs)


def read_area(source: str) -> Area:
    """Polygons of any file that GDAL's vector drivers read, and of GeoParquet.

    Args:
        source: A path or an address; ``|layername=NAME`` at its end names a layer.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It cannot be read, has several layers and none is named, or has no polygons.
    """
    import pyogrio
    import pyogrio.raw
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    from rsseg.io.remote import set_network
    from rsseg.io.vector_files import read_geoparquet
    from rsseg.mapping.area import Area

    path, _, layer = source.partition(_LAYER)
    place = locate(path)
    shown = f"{place}{_LAYER}{layer}" if layer else str(place)
    name = place.gdal if isinstance(place, Address) else place
    set_network()
    try:
        if place.lower().endswith((".parquet", ".geoparquet")) and (is_address(place) or os.path.exists(place)):
            if is_address(place):
                raise DataError(f"{shown}: GeoParquet is read from the local disk only; download it first")
            shapes, crs = read_geoparquet(Path(place))
            return Area.of(shown, _polygons(shapes, shown), crs, Path(place).name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # which have addresses in full
            layers = [str(row[0]) for row in pyogrio.list_layers(name) if row[1] is not None]
            if layer and layer not in layers:
                raise DataError(f"{shown}: has no layer {layer!r} of shapes; it has {', '.join(layers) or 'none'}")
            if not layer and len(layers) > 1:
                raise DataError(f"{shown}: has several layers; name one, {place}{_LAYER}{layers[0]} (it has "
                                f"{', '.join(layers)})")  # fmt: skip
            if not layers:
                raise DataError(f"{shown}: has no layer of shapes; expected polygons")
            meta, _, shapes, _ = pyogrio.raw.read(name, layer=layer or layers[0], columns=[], force_2d=True)
        crs = CRS.from_user_input(meta["crs"]) if meta["crs"] else None
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, CRSError) as error:
        if "No such file" in str(error) and not os.path.exists(name):
            raise FileNotFoundError(f"{shown}: no such file; expected polygons for --aoi") from told_cause(error, path)
        reason = hide_queries(hide_those_of(str(error), path))
        raise DataError(f"{shown}: cannot be read as polygons ({reason})") from told_cause(error, path)
    label = shown if isinstance(place, Address) else f"{Path(path).name}{_LAYER}{layer}" if layer else Path(path).name
    return Area.of(shown, _polygons(shapes, shown), crs, label)


def _polygons(shapes: Any, shown: str) -> list[Any]:
    """Polygons of shapes as WKB, some of which may be None."""
    import shapely

    try:
        read = shapely.from_wkb([shape for shape in shapes if shape is not None])
    except shapely.errors.GEOSException as error:
        raise DataError(f"{shown}: has a shape that is no polygon ({error}); repair it (ogr2ogr -makevalid)") from error
    found = [shape for shape in read if shape is not None]
    kinds = {shape.geom_type for shape in found}
    if wrong := sorted(kinds - {"Polygon", "MultiPolygon", "GeometryCollection"}):
        raise DataError(f"{shown}: has shapes of type {wrong[0]}; expected polygons (a buffer makes them)")
    if not found:
        raise DataError(f"{shown}: has no polygons")
    return found


def request_of(args: argparse.Namespace, area: Area | None) -> StacRequest:
    """Which items and assets of STAC the options select."""
    try:
        boxes = () if area is None or area.crs is None else area.boxes()
    except DataError:  # a plane of its own, in which only rasters lie
        boxes = ()
    return StacRequest(args.assets, tuple(args.collections or ()), args.datetime, tuple(args.query or ()),
                       args.max_items, boxes)  # fmt: skip
