"""The STAC item beside a map, as it is read: where the map lies, its classes, its settings, and its files' checksums.

``NAME.stac.json`` is the last file of a map: where it is and its checksums fit, the map is whole.
:mod:`rsseg.mapping.item_writer` writes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from rasterio import Affine
from rasterio.crs import CRS

from rsseg.errors import DataError
from rsseg.io.files import sha256_of
from rsseg.io.georeference import GeoReference
from rsseg.io.tables import parse_json
from rsseg.metainfo import ClassTable

__all__ = ["BEGINNING", "COG", "ITEM", "SHA256", "MapItem", "StoredFile", "extensions", "href_of", "is_of_others",
           "item_path", "path_of"]  # fmt: skip

ITEM = ".stac.json"
"""What follows the name of a map in the name of its item."""
_VERSIONS = {"classification": "2.0.0", "file": "2.1.0", "processing": "1.2.0", "projection": "2.0.0",
             "raster": "2.0.0"}  # fmt: skip
SHA256 = "1220"
"""Begins a multihash: its function, and that 32 bytes follow."""
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
BEGINNING = "1900-01-01T00:00:00Z"
"""Begins the interval of maps of which nobody knows when their images were taken."""


def extensions(*names: str) -> list[str]:
    """Addresses of the schemas of STAC's extensions."""
    return [f"https://stac-extensions.github.io/{name}/v{_VERSIONS[name]}/schema.json" for name in names]


def item_path(target: Path) -> Path:
    """The item of a map."""
    return target.with_name(f"{target.stem}{ITEM}")


_AMBIGUOUS = re.compile(r"[?#]|%[0-9A-Fa-f]{2}")
_PLAIN = "".join(chr(code) for code in range(32, 127) if chr(code) not in "%?#")


@dataclass(frozen=True)
class StoredFile:
    """A file of a map, as its item describes it: bytes and SHA-256."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> StoredFile:
        """Of a file that is there."""
        return cls(path.stat().st_size, sha256_of(path))


@dataclass(frozen=True)
class MapItem:
    """The item of a map.

    Attributes:
        document: Its JSON.
    """

    document: dict[str, Any]

    @classmethod
    def parse(cls, data: bytes, where: str) -> MapItem:
        """Read the bytes of a file.

        Raises:
            DataError: It is no item of a map; the message begins with ``where``.
        """
        try:
            item = cls(parse_json(data))
            item._check()
            return item
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{where}: is no STAC item of a map of rsseg; remove it, and repeat the command that made the map"
            ) from error

    def _check(self) -> None:
        """Read all that is read of an item later, which raises a KeyError, TypeError or ValueError where it lacks."""
        counts = [float(row["count"]) for row in self.classes]
        metres = [float(value) for value in (counts if self.metres is None else self.metres)]
        box = [float(value) for value in self.document.get("bbox", range(4))]
        read = self.code, self.settings, self.files[self.name].size, sum(self.georeference.size), self.table.classes
        if self.document["type"] != "Feature" or not all(read) or (len(metres), len(box)) != (len(counts), 4):
            raise ValueError("is incomplete")
        names = [row[key] for row in self.classes for key in ("name", "title")]
        if not all(isinstance(text, str) for text in (*self.settings.values(), *(self.interval or ()), *names)):
            raise TypeError("has texts that are none")

    @classmethod
    def read(cls, path: Path) -> MapItem:
        """Read a file; as :meth:`parse`.

        Raises:
            FileNotFoundError: There is no such file.
        """
        return cls.parse(path.read_bytes(), str(path))

    @property
    def properties(self) -> dict[str, Any]:
        """Of the item."""
        return dict(self.document["properties"])

    @property
    def settings(self) -> dict[str, str]:
        """What the map was made with: texts, as :func:`rsseg.mapping.plan.plan_texts` has them."""
        own = {key.removeprefix("rsseg:"): text for key, text in self.properties.items() if key.startswith("rsseg:")}
        return {key: text for key, text in own.items() if key != "plan"}

    @property
    def code(self) -> str:
        """Of the settings."""
        return str(self.properties["rsseg:plan"])

    @property
    def assets(self) -> dict[str, dict[str, Any]]:
        """By key."""
        return dict(self.document["assets"])

    @property
    def files(self) -> dict[str, StoredFile]:
        """The files of the map by their paths from the item's folder; what others have added has no checksum."""
        found = {}
        for asset in self.assets.values():
            if digest := asset.get("file:checksum", "").removeprefix(SHA256):
                found[path_of(asset["href"])] = StoredFile(asset["file:size"], digest)
        return found

    @property
    def name(self) -> str:
        """Path of the map itself from the item's folder."""
        return path_of(self.assets["map"]["href"])

    @property
    def classes(self) -> list[dict[str, Any]]:
        """Objects of the classification extension, in the order of the ids."""
        return list(self.assets["map"]["classification:classes"])

    @property
    def metres(self) -> list[float] | None:
        """Square metres of each class; None where pixels have no size on the ground."""
        return self.assets["areas"].get("rsseg:m2")

    @property
    def interval(self) -> tuple[str, str] | None:
        """When the raster was taken, from and to; None where nothing is known."""
        found = self.properties
        times = found["datetime"] or found["start_datetime"], found["datetime"] or found["end_datetime"]
        return None if times[0] == BEGINNING else times

    @property
    def table(self) -> ClassTable:
        """Names and colours of the classes; each stands for its own id."""
        rows = self.classes
        colours = tuple((int(c[:2], 16), int(c[2:4], 16), int(c[4:], 16)) for c in (row["color_hint"] for row in rows))
        ids = tuple((row["value"],) for row in rows)
        return ClassTable("classes", "STAC item", tuple(row["title"] for row in rows), colours, ids)

    @property
    def georeference(self) -> GeoReference:
        """Where the map lies, if it has a transform; ground control points are not in an item."""
        found = self.properties
        name = found.get("proj:code") or found.get("proj:wkt2")
        transform = Affine(*found["proj:transform"]) if "proj:transform" in found else Affine.identity()
        height, width = found["proj:shape"]
        return GeoReference((height, width), None if name is None else CRS.from_user_input(name), transform)


def href_of(path: str) -> str:
    """What an item or a collection calls a file, by its path from there; only ambiguous names are escaped."""
    escaped = quote(path, safe=_PLAIN) if _AMBIGUOUS.search(path) else path
    return escaped if path.startswith("../") else f"./{escaped}"


def path_of(href: str) -> str:
    """The path from the item's folder that an asset names."""
    return unquote(href.removeprefix("./"))


def is_of_others(data: bytes) -> bool:
    """Whether the bytes are a STAC item that another program has written."""
    try:
        document = parse_json(data)
    except ValueError:
        return False
    properties = (
        document.get("properties") if isinstance(document, dict) and document.get("type") == "Feature" else None
    )
    return isinstance(properties, dict) and not any(key.startswith("rsseg:") for key in properties)
