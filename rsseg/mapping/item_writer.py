"""Write the STAC item beside a map: a plain dictionary, without pystac, which is no requirement of a map.

The same map gives the same item.
Source: STAC 1.1.0, with the extensions classification 2.0, file 2.1, processing 1.2, projection 2.0 and raster 2.0.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rsseg.errors import UserError
from rsseg.io.addresses import hide_secrets
from rsseg.io.files import sha256_of
from rsseg.io.footprints import crs_code, footprint
from rsseg.io.georeference import GeoReference
from rsseg.io.rasters import opened
from rsseg.io.storage import is_storage
from rsseg.io.tables import write_json
from rsseg.mapping.item import (
    BEGINNING,
    COG,
    SHA256,
    MapItem,
    StoredFile,
    extensions,
    href_of,
    is_of_others,
    item_path,
    path_of,
)
from rsseg.mapping.plan import TAG
from rsseg.mapping.results import AreaTable
from rsseg.metainfo import ClassTable

__all__ = ["links_of", "write_item"]

_log = logging.getLogger("rsseg")
_ALWAYS = ("classification", "file", "processing", "projection")
_TYPES = {
    ".tif": COG, ".tiff": COG, ".png": "image/png", ".csv": "text/csv", ".xml": "application/xml",
    ".qml": "application/xml", ".gpkg": "application/geopackage+sqlite3", ".geojson": "application/geo+json",
    ".fgb": "application/vnd.flatgeobuf", ".parquet": "application/vnd.apache.parquet",
}  # fmt: skip
_ABOUT = {
    "map": ("class ids, 255 for no data", ["data"]),
    "probabilities": ("probabilities", ["data"]),
    "polygons": ("polygons of the classes", ["data"]),
    "areas": ("area of each class", ["metadata"]),
    "accuracy": ("agreement with reference labels", ["metadata"]),
    "names": ("class names and colours, as GDAL reads them", ["metadata"]),
    "style": ("style of QGIS", ["metadata"]),
    "polygons_style": ("style of QGIS for the polygons", ["metadata"]),
}
"""Keys of assets: their titles and roles."""
_LEVELS = 254  # of probabilities
_END = "2100-01-01T00:00:00Z"


def write_item(
    target: Path,
    table: ClassTable,
    areas: AreaTable,
    files: Mapping[str, Path],
    extra: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write the item of a finished map.

    Args:
        target: The map.
        table: Its classes.
        areas: Pixels of each class.
        files: Files of the map by the keys of their assets.
        extra: Further fields of some assets, by key.

    Files of an earlier item of the same map that have not changed since stay in it.  An item that another program has
    written under this name stays, with a warning.

    Raises:
        OSError: A file cannot be read or written.
    """
    path = item_path(target)
    if path.exists() and is_of_others(path.read_bytes()):
        _log.warning("%s: another program has written this item, so it stays, and the map has none; give the map "
                     "another name to get one", path)  # fmt: skip
        return
    with opened(target) as file:
        tags, georeference = file.tags(), GeoReference.of(file)
    settings = {key.removeprefix(TAG).lower(): text for key, text in tags.items() if key.startswith(TAG)}
    assets = _assets(target, table, areas, files, extra, georeference, settings.get("probabilities"))
    has_raster = any(name.startswith("raster:") for asset in assets.values() for name in asset)
    outline = footprint(georeference)
    document = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": extensions(*_ALWAYS, *(["raster"] if has_raster else [])),
        "id": target.stem,
        "geometry": None if outline is None else outline[0],
        **({} if outline is None else {"bbox": outline[1]}),
        "properties": {
            **_times(settings),
            **_place(georeference),
            "processing:software": {"rsseg": settings.get("version", "")},
            **{f"rsseg:{key}": text for key, text in sorted(settings.items())},
        },
        "links": links_of(settings),
        "assets": {**_kept(target, settings, assets), **assets},
    }
    write_json(path, document)


def _assets(
    target: Path,
    table: ClassTable,
    areas: AreaTable,
    files: Mapping[str, Path],
    extra: Mapping[str, Mapping[str, Any]],
    georeference: GeoReference,
    probabilities: str | None,
) -> dict[str, dict[str, Any]]:
    """The files of a map as assets, with what is known of their content."""
    assets = {key: {**_asset(key, path, target), **extra.get(key, {})} for key, path in files.items()}
    assets["map"] |= {"data_type": "uint8", "nodata": 255, "classification:classes": _classes(table, areas)}
    if "probabilities" in assets:
        names = ["confidence"] if probabilities == "top" else list(table.classes)
        scale = {"raster:scale": round(1 / _LEVELS, 12), "raster:offset": 0}
        bands = [{"name": name} for name in names]
        assets["probabilities"] |= {"data_type": "uint8", "nodata": 255, **scale, "bands": bands}
    size = sum(georeference.pixel_size) / 2 if georeference.no_metres is None else math.nan
    if math.isfinite(size):
        assets["map"]["raster:spatial_resolution"] = round(size, 6)
    if areas.metres is not None and "areas" in assets:
        assets["areas"]["rsseg:m2"] = [round(float(value), 2) for value in areas.metres]
    return assets


def _asset(key: str, path: Path, target: Path) -> dict[str, Any]:
    title, roles = _ABOUT[key]
    where, file = Path(os.path.relpath(path, target.parent)).as_posix(), StoredFile.of(path)
    return {
        "href": href_of(where),
        "type": _TYPES.get(path.suffix.lower(), "application/octet-stream"),
        "title": title,
        "roles": roles,
        "file:size": file.size,
        "file:checksum": f"{SHA256}{file.sha256}",
    }


def _kept(target: Path, settings: Mapping[str, str], assets: Mapping[str, Any]) -> dict[str, Any]:
    """Assets of the item that is there which this run did not make: the same map, and the same files still.

    Polygons in another format than those of this run are called after it.
    """
    try:
        before = MapItem.read(item_path(target))
    except (OSError, UserError):
        return {}
    if before.code != settings.get("plan") or before.assets["map"]["file:checksum"] != assets["map"]["file:checksum"]:
        return {}
    new, kept = {asset["href"] for asset in assets.values()}, {}
    for key, asset in before.assets.items():
        if asset["href"] not in new and _is_as_told(target, asset):
            other = f"polygons_{asset['href'].rpartition('.')[2]}" if key == "polygons" else key
            if other not in assets:
                kept[other if "polygons" in assets else key] = asset
    return kept


def _is_as_told(target: Path, asset: Mapping[str, Any]) -> bool:
    path = target.parent / path_of(asset["href"])
    return path.is_file() and f"{SHA256}{sha256_of(path)}" == asset.get("file:checksum")


def _classes(table: ClassTable, areas: AreaTable) -> list[dict[str, Any]]:
    """Objects of the classification extension, whose names have only letters, digits, ``-`` and ``_``."""
    total, taken, out = max(int(areas.pixels.sum()), 1), set(), []
    for i, (title, colour) in enumerate(zip(table.classes, table.palette, strict=True)):
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", title).strip("_") or "class"
        name = f"{name}_{i}" if name.lower() in taken else name
        taken.add(name.lower())
        count = int(areas.pixels[i])
        out.append({"value": i, "name": name, "title": title, "color_hint": "{:02X}{:02X}{:02X}".format(*colour),
                    "count": count, "percentage": round(100 * count / total, 4)})  # fmt: skip
    return out


def _times(settings: Mapping[str, str]) -> dict[str, Any]:
    """When the raster was taken; where nothing says so, between 1900 and its last change (or 2100)."""
    known = settings.get("datetime")
    if known is not None and "/" not in known:
        return {"datetime": known}
    start, end = known.split("/") if known else (BEGINNING, _END)
    state = json.loads(settings.get("source_state", "null"))
    if not known and state and isinstance(state[-1], int):
        end = datetime.fromtimestamp(state[1] // 10**9, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"datetime": None, "start_datetime": start, "end_datetime": end}


def _place(georeference: GeoReference) -> dict[str, Any]:
    """Fields of the projection extension."""
    height, width = georeference.size
    crs = georeference.crs
    code = None if crs is None else crs_code(crs)
    out: dict[str, Any] = {"proj:code": code, "proj:shape": [height, width]}
    if crs is not None and code is None:
        out["proj:wkt2"] = crs.to_wkt(version="WKT2_2019")
    if georeference.has_coordinates and not georeference.gcps and all(map(math.isfinite, georeference.transform)):
        out["proj:transform"] = list(georeference.transform[:6])
    return out


_PREFIXES = {"/vsis3/": "s3://", "/vsigs/": "gs://", "/vsiaz/": "az://", "/vsicurl/": ""}


def links_of(settings: Mapping[str, str]) -> list[dict[str, str]]:
    """Links to what was mapped, without credentials; a local file is named in ``rsseg:source`` only."""
    if item := settings.get("stac_item"):
        return [{"rel": "derived_from", "href": hide_secrets(item), "type": "application/geo+json"}]
    source = settings.get("source", "")
    for prefix, scheme in _PREFIXES.items():
        if source.startswith(prefix):
            source = scheme + source.removeprefix(prefix)
    return [{"rel": "source", "href": hide_secrets(source)}] if is_storage(source) else []
