"""The class table of a label set, read from its JSON file.

A table states once how the values stored in label files become training ids: a class with id ``i`` is stored as
``i + label_offset`` (or as the values in its ``raw`` list), the values in ``ignore`` and 255 carry no label, and
any other value is an error.  A class with ``"scored": false`` is trained, but stays out of scores.  One with
``"raw": []`` stands in no label; models that are asked with words are asked for it all the same.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsseg.errors import ConfigError, DataError
from rsseg.metainfo.counterparts import IGNORE, ids_in_common, name_key
from rsseg.metainfo.schema import read_table
from rsseg.packaged import find_packaged

__all__ = [
    "BACKGROUND",
    "IGNORE",
    "ClassTable",
    "base_table",
    "list_metainfo",
    "load_metainfo",
    "name_key",
    "split_common",
    "table_path",
]

BACKGROUND = "+background"
"""What stands behind the name of a class table that has a class for unlabelled pixels, too."""

_FOLDER = Path(__file__).parent
_UNKNOWN = -1


COMMON = "@"
"""What stands between a class table and the one whose classes its own become, by name: ``loveda@landcover6``."""


def split_common(name: str) -> tuple[str, str | None]:
    """A class table, and the one whose classes its own become; None where they stay as they are."""
    table, mark, common = name.rpartition(COMMON)
    return (table, common) if mark and not Path(name.removesuffix(BACKGROUND)).is_file() else (name, None)


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
        omit: Names in detection labels whose objects are left out on purpose.
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
    omit: tuple[str, ...] = ()

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

    def omits(self, name: str) -> bool:
        """Whether objects of this name are left out on purpose; case, spaces, ``_`` and ``-`` make no difference."""
        return name_key(name) in {name_key(own) for own in self.omit}

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

    @functools.cached_property
    def _codes(self) -> NDArray[np.uint8]:
        """(256,) uint8: as ``lut``, but unknown values become ``num_classes``, which is no training id."""
        return np.where(self.table < 0, self.num_classes, self.table).astype(np.uint8)

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

    def encode(self, raw: NDArray[np.integer], where: str = "label") -> NDArray[np.uint8]:
        """Training ids of raw values.

        Args:
            raw: (...) values as stored in a label file, uint8 or another integer type.
            where: What to name in an error, usually the file.

        Returns:
            (...) uint8 training ids, 255 where there is no label.

        Raises:
            DataError: A value is neither a class nor listed as ignored.
        """
        import cv2

        if not raw.size:
            return raw.astype(np.uint8)
        if raw.dtype != np.uint8 and (raw.min() < 0 or raw.max() > IGNORE):
            raise self._unknown(raw, where)
        flat = np.ascontiguousarray(raw, np.uint8).reshape(1, -1)
        ids = np.asarray(cv2.LUT(flat, self._codes)).reshape(raw.shape)
        if self.num_classes < IGNORE:
            known = not (ids == self.num_classes).any()
        else:  # no code is left for unknown values
            known = not (self.table[raw] == _UNKNOWN).any()
        if not known:
            raise self._unknown(raw, where)
        return ids

    def _unknown(self, raw: NDArray[np.integer], where: str) -> DataError:
        """What to say of labels that hold a value which the table does not allow."""
        allowed = np.flatnonzero(self.table != _UNKNOWN)
        value = np.setdiff1d(raw, allowed)[0]
        return DataError(f"{where}: value {value} is not a label value of {self.name}; allowed: {allowed.tolist()}")


def _colour(text: str) -> tuple[int, int, int]:
    value = int(text.removeprefix("#"), 16)
    return value >> 16, value >> 8 & 255, value & 255


def list_metainfo() -> list[str]:
    """Names of the class tables that come with rsseg, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def base_table(name: str) -> str:
    """A class table's name without ``+background`` and the table that it becomes, see :func:`load_metainfo`."""
    return split_common(name)[0].removesuffix(BACKGROUND)


def table_path(name: str) -> Path:
    """File of a class table, by name or path.

    Raises:
        ConfigError: There is no such table.
    """
    base = base_table(name)
    path = find_packaged(base) if base.endswith(".json") else _FOLDER / f"{base}.json"
    if not path.is_file():
        raise ConfigError(
            f"class table {name!r} not found; expected one of: {', '.join(list_metainfo())}; or the path of a .json "
            "file"
        )
    return path


def load_metainfo(name: str) -> ClassTable:
    """Class table by file name, or from a path ending in ``.json``.

    Args:
        name: One of :func:`list_metainfo`, for example ``"sota"``, or the path of a table of your own.  With
            ``+background`` behind it (``"sota+background"``) the table has one class more, the last, for the pixels
            that converted labels leave unlabelled (255).  ``"loveda@landcover6"`` is the second table with the label
            values of the first, so that two sets have the same classes: by the second's rules (``from``, ``unused``)
            where it has some for the first, else by name, or by the name in ``to``.

    Raises:
        UserError: There is no such table, it contradicts itself, or has such a class already; a class of the first of
            two tables has no counterpart in the second.
    """
    own, common = split_common(name)
    if common is not None:
        return _as_common(own, common)
    path = table_path(name)
    state = path.stat()
    table = _load(path, state.st_size, state.st_mtime_ns)
    return table if name == base_table(name) else _with_background(table, path)


def _with_background(table: ClassTable, path: Path) -> ClassTable:
    """The table with a last class for the value 255, black unless another class is."""
    name = BACKGROUND.removeprefix("+")
    if table.table[IGNORE] != IGNORE or name in map(name_key, table.classes):
        taken = next((own for own, raw in zip(table.classes, table.raw_values, strict=True) if IGNORE in raw), name)
        raise ConfigError(f"{path} has a class for unlabelled pixels already, {taken!r}; name it without {BACKGROUND}")
    color = next(grey for grey in ((level,) * 3 for level in range(256)) if grey not in table.palette)
    return replace(
        table,
        name=f"{table.name} with background",
        classes=(*table.classes, name),
        palette=(*table.palette, color),
        raw_values=(*table.raw_values, (IGNORE,)),
        prompts=(*table.prompts, ()) if table.prompts else (),
        to=(*table.to, None) if table.to else (),
    )


def _as_common(own: str, common: str) -> ClassTable:
    """The classes of a common table with the label values of another one's files."""
    source, target, key = load_metainfo(own), load_metainfo(common), Path(base_table(own)).stem
    data = read_table(table_path(common))
    where, path = f"{own}{COMMON}{common}", str(table_path(common))
    ids = ids_in_common(source, target, data, key, path, where, base_table(own) != own)
    groups: dict[int, list[int]] = {}
    for i, values in enumerate(source.raw_values):
        groups.setdefault(int(ids[i]), []).extend(values)
    return replace(
        target,
        name=f"{source.name} as {target.name}",
        raw_values=tuple(tuple(groups.get(i, ())) for i in range(target.num_classes)),
        ignore=(*source.ignore, *groups.get(IGNORE, ())),
        to=(),
    )


@functools.lru_cache(maxsize=256)
def _load(path: Path, size: int, modified: int) -> ClassTable:
    """The table in a file as it is now; a changed file is read again."""
    data = read_table(path)
    rows = data["categories"]
    offset = data.get("label_offset", 0)
    for i, row in enumerate(rows):
        if row["id"] != i:
            raise DataError(
                f"{path}: the ids of the categories must be 0 to {len(rows) - 1}, in order; 'categories[{i}].id' is "
                f"{row['id']}"
            )
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


def _check(table: ClassTable, path: Path) -> None:
    values = [v for row in table.raw_values for v in row]
    keys = [name_key(name) for name in table.classes]
    for i, key in enumerate(keys):
        if key in keys[:i]:
            raise DataError(
                f"{path}: two classes have the same name: categories[{keys.index(key)}].name is "
                f"{table.classes[keys.index(key)]!r}, categories[{i}].name is {table.classes[i]!r}"
            )
    wrong = [value for value in values if not 0 <= value <= IGNORE]
    if table.num_classes > IGNORE or wrong:
        found = f"'label_offset' gives {wrong[0]}" if wrong else f"'categories' has {table.num_classes}"
        raise DataError(f"{path}: label values must be 0 to 255, with at most 255 classes; {found}")
    twice = [value for i, value in enumerate(values) if value in values[:i] or value in table.ignore]
    if twice:
        raise DataError(f"{path}: the label value {twice[0]} occurs twice in 'raw' and 'ignore'")
