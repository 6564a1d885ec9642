"""Reading the files of a map: the class map with its names and colours, and the areas and accuracy beside it."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsseg.command_list import command
from rsseg.errors import DataError
from rsseg.io.areas import measure_class_areas
from rsseg.io.class_maps import classes_of
from rsseg.io.georeference import GeoReference
from rsseg.io.rasters import opened
from rsseg.io.tables import parse_json

__all__ = ["ClassArea", "MapFiles", "MapHeader", "Score", "open_map", "read_map_header"]

_AREAS = ["class", "pixels", "m2", "km2", "percent"]
_BESIDE = ("_accuracy.csv", "_areas.csv", "_probabilities.tif", ".fgb", ".geojson", ".gpkg", ".parquet", ".qml",
           ".tif.aux.xml")  # fmt: skip
"""What follows a map's name in those of its other files."""
_ACCURACY = ["class", "IoU", "F1", "Acc", "pixels"]


@dataclass(frozen=True)
class ClassArea:
    """How much of a map is of one class.

    Attributes:
        pixels: Number of pixels.
        metres: Square metres; None where pixels have no size.
        share: Share of what is mapped, 0..1.
    """

    pixels: int
    metres: float | None
    share: float


@dataclass(frozen=True)
class Score:
    """A row of the accuracy: per cent, NaN where undefined, None where the row has no such score.

    Attributes:
        name: A class, ``mean`` or ``OA``.
        values: IoU, F1 and recall.
        pixels: Reference pixels.
    """

    name: str
    values: tuple[float | None, ...]
    pixels: int


@dataclass(frozen=True)
class MapFiles:
    """A class map and what lies beside it.

    Attributes:
        path: The map.
        georeference: Where it lies.
        classes: Names.
        palette: RGB of every class.
        settings: How the map was made, from its metadata: lower-case name -> text.
        areas: One per class.
        accuracy: One row per class (of the map, or common with the reference), then ``mean`` and ``OA``; empty where
            no reference was given.
        others: Names of the other files of this map.
        problems: What is missing or damaged.
    """

    path: Path
    georeference: GeoReference
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    settings: Mapping[str, str]
    areas: Sequence[ClassArea]
    accuracy: Sequence[Score]
    others: Sequence[str]
    problems: Sequence[str]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.georeference.size

    def setting(self, name: str) -> Any:
        """A setting of the map, read as JSON where it is JSON; None where the map does not have it."""
        text = self.settings.get(name)
        try:
            return None if text is None else parse_json(text)
        except ValueError:
            return text


def open_map(path: Path) -> MapFiles:
    """Read a map's metadata and the CSV files beside it.

    Without ``<map>_areas.csv`` areas are measured from the map, a few rows at a time.

    Raises:
        OSError: The map cannot be read.
        DataError: It is not a class map with names and colours.
    """
    with opened(path) as file:
        header = read_map_header(file)
        georeference = GeoReference.of(file)
    classes = header.classes
    settings = {key: text for key, text in header.settings.items() if key not in ("source_state", "class_table")}
    problems: list[str] = []
    beside = path.with_name(f"{path.stem}_areas.csv")
    areas = _read(beside, _AREAS, problems, lambda rows: _areas(rows, classes))
    if areas is None:
        areas = _measured(path, len(classes))
        if not beside.exists():
            problems.append(f"{beside.name} was not found; areas were measured from the map")
    scores = _read(path.with_name(f"{path.stem}_accuracy.csv"), _ACCURACY, problems, lambda rows: _scores(rows))
    own = sorted(f"{path.stem}{end}" for end in _BESIDE if path.with_name(f"{path.stem}{end}").exists())
    return MapFiles(path, georeference, classes, header.palette, settings, areas, scores or [], own, problems)


@dataclass(frozen=True)
class MapHeader:
    """What the metadata of a class map say.

    Attributes:
        classes: Names.
        palette: RGB of every class.
        settings: How the map was made: lower-case name -> text.
    """

    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    settings: Mapping[str, str]


def read_map_header(file: Any) -> MapHeader:
    """Names, colours and settings of an open rasterio dataset.

    Raises:
        DataError: It is not a class map with names and colours.
    """
    found = classes_of(file)
    if found is None:
        raise DataError(
            f"{file.name}: is not a class map of {command('map')}; expected one 8-bit band with class names in its "
            "metadata"
        )
    settings = {key.removeprefix("RSSEG_").lower(): text for key, text in file.tags().items()
                if key.startswith("RSSEG_")}  # fmt: skip
    return MapHeader(*found, settings)


def _read(path: Path, header: list[str], problems: list[str], parse: Any) -> Any:
    """The parsed rows of a CSV file; None where it is missing or damaged."""
    if not path.is_file():
        return None
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        if not rows or rows[0] != header:
            raise DataError(f"its first line is not {','.join(header)}")
        return parse(rows[1:])
    except (ValueError, OSError) as error:
        problems.append(f"{path.name} cannot be used: {error}")
        return None


def _areas(rows: list[list[str]], classes: tuple[str, ...]) -> list[ClassArea]:
    if tuple(row[0] for row in rows) != classes:
        raise DataError("its classes are not those of the map")
    return [ClassArea(int(n), float(m2) if m2 else None, float(share) / 100) for _, n, m2, _, share in rows]


def _scores(rows: list[list[str]]) -> list[Score]:
    if [row[0] for row in rows[-2:]] != ["mean", "OA"]:  # the classes may be those in which map and labels meet
        raise DataError("its last rows are not mean and OA")
    return [Score(name, tuple(float(v) if v else None for v in values), int(n)) for name, *values, n in rows]


def _measured(path: Path, classes: int) -> list[ClassArea]:
    found = measure_class_areas(path, classes)
    total = max(int(found.pixels.sum()), 1)
    metres = [None] * classes if found.metres is None else found.metres.tolist()
    return [ClassArea(n, m, n / total) for n, m in zip(found.pixels.tolist(), metres, strict=True)]
