"""What tests of maps in a storage have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rsseg.io.storage import Storage
from rsseg.mapping import Products

NAMES = ["map.gpkg", "map.qml", "map.stac.json", "map.tif", "map.tif.aux.xml", "map_areas.csv", "map_probabilities.tif"]
OPTIONS: dict[str, Any] = dict(window=(32, 32), batch=4, probabilities="top")
GPKG = Products(vectors="gpkg")
Deliver = Callable[..., int]


def contents(address: str) -> dict[str, bytes]:
    storage = Storage(address)
    return {name: storage.read(name) or b"" for name in sorted(storage.files())}
