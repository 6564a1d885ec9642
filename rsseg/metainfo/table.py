"""The class table of a label set, read from its JSON file.

A table states once how the values stored in label files become training ids: a class with id ``i`` is stored as
``i + label_offset`` (or as the values in its ``raw`` list), the values in ``ignore`` and 255 carry no label, and
any other value is an error.  A class with ``"scored": false`` is trained, but stays out of scores.  One with
``"raw": []`` stands in no label; models that are asked with words are asked for it all the same.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.errors import ConfigError, DataError

__all__ = ["IGNORE", "ClassTable", "list_metainfo", "load_metainfo", "name_key", "table_path"]

IGNORE = 255
"""Training id of pixels without a label."""

_FOLDER = Path(__file__).parent
_UNKNOWN = -1


def name_key(name: str) -> str:
    """A class name without what makes no difference between two of them: case, spaces, ``_`` and ``-``."""
    return name.strip().lower().replace(" ", "-").replace("_", "-")


@dataclass(frozen=True)
class ClassTable:
    """Classes of one label set; row ``i`` of every tuple is training id ``i``.

    Attributes:
        name: Display name, for example ``OpenEarthMap``.
        source: Where names, order and colours come from.
        classes: Class names.
        palette: RGB colours, 0-255.
        raw_values: For each class the values (0-255) that stand for it in label files; the first is written.  A class
            without any is in no label, and written as id + ``label_offset``.
        ignore: Values (0-255) in label files that carry no label; 255 is always one unless a class claims it.
        label_offset: Stored value minus training id where a row has no ``raw`` list.
        prompts: Per class the texts for open-vocabulary models; empty where the table has none.
        to: Per class the name it merges into; empty where the table has none.
        unscored: Training ids of classes that stay out of scores, such as a background.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    raw_values: tuple[tuple[int, ...], ...]
    ignore: tuple[int, ...] = ()
    label_offset: int = 0
    prompts: tuple[tuple[str, ...], ...] = ()
    to: tuple[str | None, ...] = ()
    unscored: tuple[int, ...] = ()

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def rows(self) -> list[str]:
        """All that decides label files, a text for each class: name, colour, stored values, the name it merges into."""
        merged = self.to or (None,) * self.num_classes
        rows = zip(self.classes, self.palette, self.raw_values, merged, strict=True)
        return [
            " ".join([name, "#{:02X}{:02X}{:02X}".format(*color), *map(str, values), *([f"to {to}"] if to else [])])
            for name, color, values, to in rows
        ]

    def index(self, name: str) -> int:
        """Training id of a class name; case, spaces, ``_`` and ``-`` make no difference.

        Raises:
            ConfigError: No class of this table has that name; the message lists those it has.
        """
        found = self._ids.get(name_key(name))
        if found is None:
            raise ConfigError(f"{name!r} is not a class of {self.name}; expected one of: {', '.join(self.classes)}")
        return found

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {name_key(name): i for i, name in enumerate(self.classes)}

    @functools.cached_property
    def table(self) -> NDArray[np.int16]:
        """(256,) int16: raw value -> training id, 255 where ignored, -1 where the table allows no such value."""
        out = np.full(256, _UNKNOWN, np.int16)
        out[[*self.ignore, IGNORE]] = IGNORE
        for train_id, values in enumerate(self.raw_values):
            out[list(values)] = train_id
        return out

    @property
    def lut(self) -> NDArray[np.uint8]:
        """(256,) uint8: raw value -> training id; unknown values become 255 as well (``encode`` refuses them)."""
        return np.where(self.table < 0, IGNORE, self.table).astype(np.uint8)

    @property
    def raw(self) -> NDArray[np.uint8]:
        """(num_classes,) uint8: training id -> the value written to label files."""
        pairs = enumerate(self.raw_values)
        return np.array([values[0] if values else i + self.label_offset for i, values in pairs], np.uint8)

    @property
    def texts(self) -> tuple[str, ...]:
        """What open-vocabulary models are asked with: each class's first prompt, its name where it has none."""
        prompts = self.prompts or ((),) * self.num_classes
        return tuple(own[0] if own else name for own, name in zip(prompts, self.classes, strict=True))

    def encode(self, raw: NDArray[np.uint8], where: str = "label") -> NDArray[np.uint8]:
        """Training ids of raw values.

        Args:
            raw: (...) uint8 values as stored in a label file.
            where: What to name in an error, usually the file.

        Returns:
            (...) uint8 training ids, 255 where there is no label.

        Raises:
            DataError: A value is neither a class nor listed as ignored.
        """
        present = np.flatnonzero(np.bincount(raw.ravel(), minlength=256))
        unknown = [int(v) for v in present if self.table[v] == _UNKNOWN]
        if unknown:
            allowed = np.flatnonzero(self.table != _UNKNOWN).tolist()
            raise DataError(f"{where}: value {unknown[0]} is not a label value of {self.name}; allowed: {allowed}")
        return self.lut[raw]


_KINDS = {str: "a text", int: "a whole number", list: "a list"}


def _colour(text: str) -> tuple[int, int, int]:
    value = int(text.removeprefix("#"), 16)
    return value >> 16, value >> 8 & 255, value & 255


def list_metainfo() -> list[str]:
    """Names of the class tables that come with rsseg, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def table_path(name: str) -> Path:
    """File of a class table, by name or path.

    Raises:
        ConfigError: There is no such table.
    """
    path = Path(name) if name.endswith(".json") else _FOLDER / f"{name}.json"
    if not path.is_file():
        raise ConfigError(
            f"class table {name!r} not found; expected one of: {', '.join(list_metainfo())}; or the path of a .json "
            "file"
        )
    return path


def load_metainfo(name: str) -> ClassTable:
    """Class table by file name, or from a path ending in ``.json``.

    Args:
        name: One of :func:`list_metainfo`, for example ``"sota"``, or the path of a table of your own.

    Raises:
        UserError: There is no such table, or it contradicts itself.
    """
    path = table_path(name)
    state = path.stat()
    return _load(path, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _load(path: Path, size: int, modified: int) -> ClassTable:
    """The table in a file as it is now; a changed file is read again."""
    data = read_table(path)
    rows = data["categories"]
    offset = data.get("label_offset", 0)
    if [row["id"] for row in rows] != list(range(len(rows))):
        raise DataError(f"{path}: the ids of the categories must be 0 to {len(rows) - 1}, in order")
    table = ClassTable(
        name=data["name"],
        source=data["source"],
        classes=tuple(row["name"] for row in rows),
        palette=tuple(_colour(row["color"]) for row in rows),
        raw_values=tuple(tuple(row.get("raw", [row["id"] + offset])) for row in rows),
        ignore=tuple(data.get("ignore", ())),
        label_offset=offset,
        prompts=tuple(tuple(row.get("prompts", ())) for row in rows),
        to=tuple(row.get("to") for row in rows),
        unscored=tuple(row["id"] for row in rows if not row.get("scored", True)),
    )
    _check(table, path)
    return table


def read_table(path: Path) -> dict[str, Any]:
    """The content of a class table's file, every entry of the right type.

    Raises:
        DataError: The file is not JSON, an entry is missing or has another type; the message names it.
    """
    try:
        data = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: a class table must be JSON in UTF-8 ({error})") from error
    if not isinstance(data, dict):
        raise DataError(f"{path}: a class table must be an object with 'name', 'source' and 'categories'")
    for key, kind in (("name", str), ("source", str), ("categories", list), ("label_offset", int), ("ignore", list)):
        if not isinstance(data.get(key, kind() if key in ("label_offset", "ignore") else None), kind):
            raise DataError(f"{path}: {key!r} must be {_KINDS[kind]}, found {data.get(key)!r}")
    if not data["categories"]:
        raise DataError(f"{path}: 'categories' is empty; a class table has at least one class")
    for i, row in enumerate(data["categories"]):
        _check_row(row, f"{path}: category {i}")
    return data


def _check_row(row: Any, where: str) -> None:
    if not isinstance(row, dict):
        raise DataError(f"{where} must be an object with 'id', 'name' and 'color', found {row!r}")
    for key, kind in (("id", int), ("name", str), ("color", str)):
        if not isinstance(row.get(key), kind):
            raise DataError(f"{where}: {key!r} must be {_KINDS[kind]}, found {row.get(key)!r}")
    if not re.fullmatch("#[0-9A-Fa-f]{6}", row["color"]):
        raise DataError(f"{where}: 'color' must be written as '#RRGGBB', found {row['color']!r}")
    raw, prompts = row.get("raw", [0]), row.get("prompts", [])
    if not isinstance(raw, list) or not all(type(value) is int for value in raw):
        raise DataError(f"{where}: 'raw' must be a list of whole numbers, found {raw!r}")
    if not isinstance(prompts, list) or not all(isinstance(text, str) for text in prompts):
        raise DataError(f"{where}: 'prompts' must be a list of texts, found {prompts!r}")


def _check(table: ClassTable, path: Path) -> None:
    values = [v for row in table.raw_values for v in row]
    if len({name_key(name) for name in table.classes}) != table.num_classes:
        raise DataError(f"{path}: two classes have the same name")
    if table.num_classes > IGNORE or not all(0 <= value <= IGNORE for value in (*values, *table.ignore)):
        raise DataError(f"{path}: label values must be 0 to 255, with at most 255 classes")
    if len(set(values)) != len(values) or set(values) & set(table.ignore):
        raise DataError(f"{path}: a label value occurs twice in 'raw' and 'ignore'")
