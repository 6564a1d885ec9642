"""Options of ``rsseg change``."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from rsseg.commands import at_least
from rsseg.errors import ConfigError

__all__ = ["GRIDS", "ChangeOptions", "add_arguments", "add_options"]

GRIDS = ("coarser", "before", "after")
"""Whose pixels are compared."""
_VECTORS = ("gpkg", "geojson", "fgb", "parquet")


@dataclass(frozen=True)
class ChangeOptions:
    """How two maps are compared.

    Attributes:
        classes: Class table (name or path) of the first map; a map that names its classes in its metadata needs none.
        after_classes: Class table of the second map; where it is not given, and the map names no classes, ``classes``.
        merge: Common class table into which the classes of both merge.
        all_classes: Also compare classes that only one of the maps has; without, they are an error.
        grid: Whose pixels are compared, see :data:`GRIDS`.
        vectors: Format of the polygons of change (``gpkg``, ``geojson``, ``fgb``, ``parquet``), None for none.
        min_area: Smallest polygon in square metres (pixels, where they have no size).
        simplify: Pixels by which outlines may be moved to need fewer points.

    Raises:
        ConfigError: A value is not allowed.
    """

    classes: str | None = None
    after_classes: str | None = None
    merge: str | None = None
    all_classes: bool = False
    grid: str = GRIDS[0]
    vectors: str | None = None
    min_area: float = 0
    simplify: float = 0

    def __post_init__(self) -> None:
        if self.grid not in GRIDS:
            raise ConfigError(f"--grid {self.grid}: unknown; expected one of: {', '.join(GRIDS)}")
        if self.vectors is not None and self.vectors not in _VECTORS:
            raise ConfigError(f"--vectors {self.vectors}: unknown format; expected one of: {', '.join(_VECTORS)}")
        if self.merge is not None and self.all_classes:
            raise ConfigError("--merge and --all-classes exclude each other: a common table has a row for each class")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the maps, the folder and the options of ``rsseg change``."""
    parser.add_argument("before", help="the earlier map: one of rsseg map, or any raster with one band of classes")
    parser.add_argument("after", help="the later map, on any grid")
    parser.add_argument("out", type=Path, help="folder of the tables, the raster, the polygons and the page")
    add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--classes", metavar="TABLE", help="class table of both maps, or of BEFORE only; not needed for maps of rsseg")
    add("--after-classes", metavar="TABLE", help="class table of AFTER, if it differs")
    add("--merge", metavar="TABLE", help="common class table into which both merge by name, such as landcover6")
    add("--all-classes", action="store_true", help="give classes that only one map has a row of their own "
        "(default: they are an error)")  # fmt: skip
    add("--grid", choices=GRIDS, default=GRIDS[0], help="whose pixels are compared; the other map is resampled to the "
        "most frequent class (default: the coarser map's, BEFORE's where both are equally fine)")  # fmt: skip
    add("--vectors", choices=_VECTORS, help="also write polygons of what has changed")
    add("--min-area", type=at_least(0, float), default=0, metavar="M2", help="leave out smaller polygons, in square "
        "metres")  # fmt: skip
    add("--simplify", type=at_least(0, float), default=0, metavar="PIXELS", help="move outlines of polygons by at most "
        "so much to need fewer points")  # fmt: skip
