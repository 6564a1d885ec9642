"""A folder of maps as one thing: a STAC collection, one layer of all maps, and their areas in one table."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from rasterio.crs import CRS

from rsseg.errors import ConfigError, DataError
from rsseg.io.files import locked
from rsseg.io.listing import walk_files
from rsseg.io.storage import Storage
from rsseg.io.tables import write_json
from rsseg.mapping.item import COG, ITEM, MapItem, extensions, href_of, is_of_others, item_path
from rsseg.mapping.mosaic import GTI, MADE, VRT, Mosaic, is_own, plan_mosaic, write_mosaic
from rsseg.mapping.results import AreaTable
from rsseg.messages import few

__all__ = ["AREAS", "COLLECTION", "Collected", "NowhereError", "collect", "collect_finished", "read_crs"]

COLLECTION, AREAS = "collection.json", "areas.csv"
_log = logging.getLogger("rsseg")
_ROUNDS = 3
"""How often a storage is collected to which other jobs add maps at the same time; each of them collects at its end."""
_AREAS_HEAD = b"class,pixels,m2,km2,percent"
_SUMMARIES = ("config", "config_sha256", "checkpoint", "checkpoint_sha256", "model", "model_sha256", "head", "version")
_TITLES = {
    GTI: ("mosaic", "all maps as one raster, for GDAL 3.9 and newer", "application/geopackage+sqlite3", ["data"]),
    VRT: ("mosaic_vrt", "all maps as one raster", "application/xml", ["data"]),
    AREAS: ("areas", "area of each class in all maps", "text/csv", ["metadata"]),
}


class NowhereError(DataError):
    """No map has a place on Earth."""


@dataclass(frozen=True)
class Collected:
    """What a folder of maps holds.

    Attributes:
        maps: How many maps there are.
        areas: Areas of each class over all of them.
        files: Names of the files that were written.
        overlaps: Pairs of maps with common ground, which counts in both.
    """

    maps: int
    areas: AreaTable
    files: tuple[str, ...]
    overlaps: int

    def __str__(self) -> str:
        twice = f"; {self.overlaps} pairs of maps overlap, and what both show counts twice" if self.overlaps else ""
        return f"{self.areas}\n{self.maps} maps{twice}"


def read_crs(text: str) -> CRS:
    """The CRS of an option.

    Raises:
        ConfigError: There is none of that name, or it is none of maps, such as one of heights.
    """
    from rasterio.errors import CRSError

    try:
        crs = CRS.from_user_input(text)
    except CRSError as error:
        raise ConfigError(f"--crs {text}: no CRS of that name; expected a code such as EPSG:3035, or WKT") from error
    if not crs.is_projected and not crs.is_geographic:
        raise ConfigError(f"--crs {text}: is no CRS of maps; expected a projected one, or one in degrees")
    return crs


def collect(place: Path | Storage, crs: CRS | None = None) -> Collected:
    """Write ``collection.json``, ``mosaic.gti.gpkg``, ``mosaic.vrt`` and ``areas.csv`` for the maps of a folder.

    Only the maps' items are read.  The same maps give the same files, and each is whole or not there; the collection is
    the last one.

    Args:
        place: The folder, local or in a storage; maps in its sub-folders count.
        crs: Of the mosaic; None takes that of most maps.

    Raises:
        FileNotFoundError: There is no map with an item.
        DataError: Maps have different classes, are missing or have changed, or none lies on Earth.
        OSError: Something cannot be read or written.
    """
    if isinstance(place, Path):
        if not place.is_dir():
            raise FileNotFoundError(f"{place}: no such folder")
        with locked(place):
            return _collect(place, place, crs, _sizes(place))
    after = _sizes(place)
    for _ in range(_ROUNDS):
        before = after
        with tempfile.TemporaryDirectory() as folder:
            made = _collect(place, Path(folder), crs, before)
            for name in _TITLES.keys() - set(made.files):
                place.remove(name)
            place.remove_abandoned(made.files)
            for name in made.files:
                place.put(Path(folder) / name, name)
        after = _sizes(place)
        if _items_in(after) == _items_in(before):
            break  # else another job, which has collected more maps meanwhile, may have lost its files to these
    return made


def collect_finished(place: Path | Storage, maps: Sequence[Path], alone: bool) -> None:
    """At the end of a command for several rasters, collect the folder of the maps; what prevents it is a warning.

    Args:
        place: The folder.
        maps: The maps of the command, by their paths from there.
        alone: Whether no other process maps them; otherwise nothing happens before all are there.

    Raises:
        OSError: Something cannot be read or written.
    """
    missing = set() if alone else {item_path(path).as_posix() for path in maps} - _sizes(place).keys()
    if missing:
        _log.info("%s: still without %d of %d maps; the process that makes the last one makes one layer of all", place,
                  len(missing), len(maps))  # fmt: skip
        return
    try:
        _log.info("%s: %s", place, collect(place))
    except (
        NowhereError,
        FileNotFoundError,
    ) as error:  # plain pictures; or no map could be made, and the errors say why
        _log.info("%s", error)
    except DataError as error:
        _log.warning("%s", error)


def _collect(place: Path | Storage, folder: Path, crs: CRS | None, sizes: Mapping[str, int]) -> Collected:
    items = _read_items(place, sizes)
    if not any(item.document.get("bbox") for item in items.values()):
        raise NowhereError(f"{place}: none of its {len(items)} maps has a place on Earth, so there is no common layer")
    _check_own(place)
    first = next(iter(items.values()))
    mosaic = plan_mosaic({_map_of(name, item): item.georeference for name, item in items.items()}, crs)
    areas = _sum_areas(list(items.values()))
    areas.write(folder / AREAS)
    made = [] if mosaic is None else [path.name for path in write_mosaic(folder, mosaic, first.table)]
    files = [AREAS, *made]
    for name in _TITLES.keys() - set(files):  # of an earlier mosaic
        (folder / name).unlink(missing_ok=True)
    write_json(folder / COLLECTION, _document(_name_of(place), items, files))
    return Collected(len(items), areas, (*files, COLLECTION), _overlaps(mosaic))


def _check_own(place: Path | Storage) -> None:
    """See that no file of others has the name of one that is to be written.

    Raises:
        DataError: One has.
    """
    for name in (COLLECTION, *_TITLES):
        if isinstance(place, Storage):
            data = place.read(name)
        else:
            data = (place / name).read_bytes() if (place / name).is_file() else None
        if data is not None and not is_own(data) and not (name == AREAS and data.startswith(_AREAS_HEAD)):
            raise DataError(f"{place}/{name}: was not written by rsseg collect, and is not replaced; move it "
                            "to another folder, then: rsseg collect")  # fmt: skip


def _overlaps(mosaic: Mosaic | None) -> int:
    return 0 if mosaic is None else mosaic.overlaps


def _items_in(sizes: Mapping[str, int]) -> list[str]:
    return sorted(name for name in sizes if name.endswith(ITEM))


def _read_items(place: Path | Storage, sizes: Mapping[str, int]) -> dict[str, MapItem]:
    """Items by their paths from the folder, in order; each map is there with the size that its item says."""
    names = _items_in(sizes)
    if not names:
        raise FileNotFoundError(f"{place}: contains no maps with items (NAME{ITEM}); repeat the command that made them")
    there = [name for name in names if sizes[name] >= 0]
    read = place.read_all(there) if isinstance(place, Storage) else ((n, (place / n).read_bytes()) for n in there)
    items = {name: MapItem.parse(data, f"{place}/{name}") for name, data in read if not is_of_others(data)}
    wrong = {name for name, item in items.items() if sizes.get(_map_of(name, item)) != item.files[item.name].size}
    if wrong := wrong | set(names) - set(there):
        raise DataError(few(f"{place}: {len(wrong)} maps are missing or not those of their items; map them again, or "
                            "remove the items:", sorted(wrong)))  # fmt: skip
    if not items:
        raise FileNotFoundError(f"{place}: contains items of other programs only; map rasters to this folder")
    first = next(iter(items))
    table = items[first].table
    for name, item in items.items():
        if (item.table.classes, item.table.palette) != (table.classes, table.palette):
            raise DataError(f"{place}: {first} and {name} have different classes, so there is no common layer; put "
                            "them into a folder each")  # fmt: skip
    return items


def _sizes(place: Path | Storage) -> dict[str, int]:
    """Bytes of the files of a folder that are not hidden, by their paths from there.

    Links to local folders are followed, each folder once; a file that is missing behind its link has -1 bytes.
    """
    if isinstance(place, Storage):
        found = place.files()
        return {name: size for name, size in found.items() if "/." not in f"/{name}"}
    return {path.relative_to(place).as_posix(): _size(path) for path in walk_files(place)}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # or another process has just removed it
        return -1


def _map_of(name: str, item: MapItem) -> str:
    return (PurePosixPath(name).parent / item.name).as_posix()


def _name_of(place: Path | Storage) -> str:
    name = PurePosixPath(str(place)).name if isinstance(place, Storage) else place.resolve().name
    return re.sub(r"[^\w.-]+", "_", name).strip("_") or "maps"


def _sum_areas(items: Sequence[MapItem]) -> AreaTable:
    pixels = np.array([[row["count"] for row in item.classes] for item in items], np.int64).sum(axis=0)
    known = [item.metres for item in items if item.metres is not None]
    metres = np.array(known, np.float64).sum(axis=0) if len(known) == len(items) else None
    method = "sum of the maps" if metres is not None else "pixels only, since some maps have none in square metres"
    shapes = np.array([item.properties["proj:shape"] for item in items], np.int64)
    return AreaTable(items[0].table.classes, pixels, metres, method, int(shapes.prod(axis=1).sum() - pixels.sum()))


def _document(name: str, items: dict[str, MapItem], files: Sequence[str]) -> dict[str, Any]:
    found = list(items.values())
    summaries = {f"rsseg:{key}": sorted({item.settings[key] for item in found if key in item.settings})
                 for key in _SUMMARIES}  # fmt: skip
    codes = sorted({code for item in found if (code := item.properties.get("proj:code"))})
    classes = [{key: row[key] for key in ("value", "name", "title", "color_hint")} for row in found[0].classes]
    assets = {}
    for file in files:
        key, title, kind, roles = _TITLES[file]
        assets[key] = {"href": href_of(file), "type": kind, "title": title, "roles": roles}
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "stac_extensions": extensions("classification", "projection"),
        "id": name,
        "description": f"{len(items)} maps with the classes {', '.join(found[0].table.classes)}, {MADE}",
        "license": "other",
        "extent": {"spatial": {"bbox": [_bounds(found)]}, "temporal": {"interval": [_interval(found)]}},
        "summaries": {key: values for key, values in {**summaries, "proj:code": codes}.items() if values},
        "item_assets": {
            "map": {"type": COG, "roles": ["data"], "data_type": "uint8", "nodata": 255,
                    "classification:classes": classes}
        },
        "links": [
            {"rel": "root", "href": f"./{COLLECTION}", "type": "application/json"},
            *({"rel": "item", "href": href_of(path), "type": "application/geo+json"} for path in items),
        ],
        "assets": assets,
    }  # fmt: skip


def _bounds(items: Sequence[MapItem]) -> list[float]:
    """Of all maps; the whole breadth of the Earth where one crosses the antimeridian."""
    boxes = np.array([item.document["bbox"] for item in items if item.document.get("bbox")])
    crossing = bool((boxes[:, 0] > boxes[:, 2]).any())
    west, east = (-180.0, 180.0) if crossing else (boxes[:, 0].min(), boxes[:, 2].max())
    return [float(west), float(boxes[:, 1].min()), float(east), float(boxes[:, 3].max())]


def _interval(items: Sequence[MapItem]) -> list[str | None]:
    known = [item.interval for item in items if item.interval is not None]
    return [min(times[0] for times in known), max(times[1] for times in known)] if known else [None, None]
