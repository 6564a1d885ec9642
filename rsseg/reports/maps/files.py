"""What the files say that a map consists of: the class map with its names and colours, areas and accuracy beside it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio import Affine
from rasterio.errors import RasterioError
from rasterio.windows import Window

from rsseg.errors import ConfigError, DataError

__all__ = ["ClassArea", "MapFiles", "Score", "open_map", "point_at"]

_AREAS = ["class", "pixels", "m2", "km2", "percent"]
_ACCURACY = ["class", "IoU", "F1", "Acc", "pixels"]
_ROWS = 256


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
        size: (H, W) in pixels.
        crs: Coordinate reference system, or None.
        transform: Pixel to coordinate.
        classes: Names.
        palette: RGB of every class.
        told: How the map was made, as its metadata say: lower-case name -> text.
        areas: One per class.
        accuracy: One row per class (of the map, or common with the reference), then ``mean`` and ``OA``; empty where
            no reference was given.
        others: Names of the other files of this map.
        problems: What is missing or damaged.
    """

    path: Path
    size: tuple[int, int]
    crs: Any
    transform: Affine
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    told: Mapping[str, str]
    areas: Sequence[ClassArea]
    accuracy: Sequence[Score]
    others: Sequence[str]
    problems: Sequence[str]

    def setting(self, name: str) -> Any:
        """A setting of the map, read as JSON where it is JSON; None where the map does not say."""
        text = self.told.get(name)
        try:
            return None if text is None else json.loads(text)
        except ValueError:
            return text


def point_at(transform: Affine, x: float, y: float) -> tuple[float, float]:
    """The coordinates of a place given in pixels (column, row)."""
    t = transform
    return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f


def open_map(path: Path) -> MapFiles:
    """Read a map's metadata and the tables beside it.

    Without ``<map>_areas.csv`` pixels are counted from the map, a few rows at a time.

    Raises:
        OSError: The map cannot be read.
        ValueError: It is no class map with names and colours.
    """
    try:
        with rasterio.open(path) as file:
            names = {int(k[6:]): v for k, v in file.tags(1).items() if k.startswith("class_") and k[6:].isdecimal()}
            names = names or dict(enumerate(json.loads(file.tags().get("RSSEG_CLASSES", "[]"))))  # a PNG
            if file.count != 1 or file.dtypes[0] != "uint8" or sorted(names) != list(range(len(names))) or not names:
                raise DataError(f"{path}: is no class map of tools/map_raster.py (one 8-bit band with class names)")
            colours = file.colormap(1) if file.colorinterp[0].name == "palette" else {}
            size, crs, transform, tags = file.shape, file.crs, file.transform, file.tags()
    except RasterioError as error:
        raise OSError(f"{path}: not a raster that GDAL can open ({error})") from error
    classes = tuple(names[i] for i in range(len(names)))
    palette = tuple((int(r), int(g), int(b)) for r, g, b, _ in (colours.get(i, (128,) * 4) for i in range(len(names))))
    told = {key.removeprefix("RSSEG_").lower(): text for key, text in tags.items() if key.startswith("RSSEG_")}
    problems: list[str] = []
    beside = path.with_name(f"{path.stem}_areas.csv")
    areas = _read(beside, _AREAS, problems, lambda rows: _areas(rows, classes))
    if areas is None:
        areas = _count(path, len(classes))
        if not beside.exists():
            problems.append(f"{beside.name} is not there: pixels are counted from the map, areas are not known")
    scores = _read(path.with_name(f"{path.stem}_accuracy.csv"), _ACCURACY, problems, lambda rows: _scores(rows))
    others = sorted(p.name for end in ("_*.*", ".g*") for p in path.parent.glob(f"{_literal(path.stem)}{end}"))
    own = [name for name in others if Path(name).suffix in (".csv", ".tif", ".gpkg", ".geojson")]
    return MapFiles(path, size, crs, transform, classes, palette, told, areas, scores or [], own, problems)


def _literal(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _read(path: Path, header: list[str], problems: list[str], parse: Any) -> Any:
    """The parsed rows of a table; None where it is not there, or is damaged."""
    if not path.is_file():
        return None
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        if not rows or rows[0] != header:
            raise ConfigError(f"its columns are not {', '.join(header)}")
        return parse(rows[1:])
    except (ValueError, OSError) as error:
        problems.append(f"{path.name} cannot be used: {error}")
        return None


def _areas(rows: list[list[str]], classes: tuple[str, ...]) -> list[ClassArea]:
    if tuple(row[0] for row in rows) != classes:
        raise ConfigError("its classes are not those of the map")
    return [ClassArea(int(n), float(m2) if m2 else None, float(share) / 100) for _, n, m2, _, share in rows]


def _scores(rows: list[list[str]]) -> list[Score]:
    if [row[0] for row in rows[-2:]] != ["mean", "OA"]:  # the classes may be those in which map and labels meet
        raise ConfigError("its last rows are not mean and OA")
    return [Score(name, tuple(float(v) if v else None for v in values), int(n)) for name, *values, n in rows]


def _count(path: Path, classes: int) -> list[ClassArea]:
    pixels = np.zeros(256, np.int64)
    try:
        with rasterio.open(path) as file:
            for y in range(0, file.height, _ROWS):
                rows = file.read(1, window=Window(0, y, file.width, min(_ROWS, file.height - y)))
                pixels += np.bincount(rows.ravel(), minlength=256)
    except RasterioError as error:
        raise OSError(f"{path}: is damaged ({error})") from error
    total = max(int(pixels[:classes].sum()), 1)
    return [ClassArea(count, None, count / total) for count in pixels[:classes].tolist()]
