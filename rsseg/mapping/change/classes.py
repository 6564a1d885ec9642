"""Which classes two maps have in common: by name, never by number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rsseg.errors import ConfigError
from rsseg.io.class_maps import classes_of
from rsseg.io.rasters import opened
from rsseg.metainfo import IGNORE, ClassTable, ids_of_map, load_metainfo
from rsseg.metainfo.table import name_key

__all__ = ["CommonClasses", "common_classes", "table_of_map"]

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class CommonClasses:
    """Classes in which two maps are compared.

    Attributes:
        classes: C names.
        palette: RGB of every class.
        tables: Class table of each map, which turns its values into its own class ids.
        ids: Of each map (256,) own class id -> common class id, 255 for none.
    """

    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    tables: tuple[ClassTable, ClassTable]
    ids: tuple[Bytes, Bytes]

    def encode(self, side: int, values: Bytes, where: str) -> Bytes:
        """Common class ids of values of one map, 255 for none.

        Raises:
            DataError: A value is no class of the map.
        """
        return self.ids[side][self.tables[side].encode(values, where)]


def table_of_map(path: str, classes: str | None, other: str | None = None) -> tuple[ClassTable, str | None]:
    """Class table of the values of a map: of the names in its metadata, or else the named one.

    Args:
        path: The map.
        classes: Name or path of its class table; a map with names must have just those of the table.
        other: That of the other map, which is taken where this one has neither.

    Returns:
        The table, and what it was called in the command; None where only the map says its names.

    Raises:
        ConfigError: There is no table, or it has other names than the map.
        OSError: The map cannot be read.
    """
    with opened(path) as file:
        found = classes_of(file)
    if found is None:
        classes = classes or other
        if classes is None:
            raise ConfigError(
                f"{path}: has no class names in its metadata; name the class table of its values with --classes, or "
                "with --after-classes for the second map"
            )
        return load_metainfo(classes), classes
    names, palette = found
    table = None if classes is None else load_metainfo(classes)
    if table is not None and _keys(table.classes) != _keys(names):
        raise ConfigError(f"{path}: has the classes {', '.join(names)}, but {classes} those of {table.name}: "
                          f"{', '.join(table.classes)}; leave the option out, or name the map's own table")  # fmt: skip
    return ClassTable(path, "metadata of the map", names, palette, tuple((i,) for i in range(len(names)))), classes


def common_classes(
    maps: tuple[tuple[ClassTable, str | None], tuple[ClassTable, str | None]], merge: str | None, every: bool
) -> CommonClasses:
    """The classes in which two maps are compared.

    Args:
        maps: Of each map what :func:`table_of_map` gives.
        merge: Common class table into which both merge; None compares classes of the same name.
        every: Also take classes that only one of the maps has.

    Raises:
        ConfigError: The maps have other classes, and neither ``merge`` nor ``every`` says what to do.
        DataError: The common table has no place for a class.
    """
    tables = maps[0][0], maps[1][0]
    if merge is not None:
        common = load_metainfo(merge)
        ids = [ids_of_map(merge, *each) for each in maps]
        return CommonClasses(common.classes, common.palette, tables, (ids[0], ids[1]))
    first, second = tables
    alone = [_without(first, second), _without(second, first)]
    if any(alone) and not every:
        texts = [f"only in the {side} map: {', '.join(own.classes[i] for i in rows)}"
                 for side, own, rows in zip(("first", "second"), tables, alone, strict=True) if rows]  # fmt: skip
        raise ConfigError(
            f"the maps have other classes ({'; '.join(texts)}); name a common class table with --merge, or give each "
            "of these classes a row of its own with --all-classes"
        )
    both = replace(
        first,
        classes=first.classes + tuple(second.classes[i] for i in alone[1]),
        palette=first.palette + tuple(second.palette[i] for i in alone[1]),
    )
    if both.num_classes > IGNORE:
        raise ConfigError(f"the maps have {both.num_classes} classes together; at most {IGNORE} can be compared")
    ids = [_by_name(table, both) for table in tables]
    return CommonClasses(both.classes, both.palette, tables, (ids[0], ids[1]))


def _keys(names: Sequence[str]) -> list[str]:
    return [name_key(name) for name in names]


def _without(table: ClassTable, other: ClassTable) -> list[int]:
    """Ids of the classes of a table that another one does not have."""
    known = set(_keys(other.classes))
    return [i for i, key in enumerate(_keys(table.classes)) if key not in known]


def _by_name(table: ClassTable, common: ClassTable) -> Bytes:
    places = {key: i for i, key in reversed(list(enumerate(_keys(common.classes))))}
    out = np.full(256, IGNORE, np.uint8)
    out[: table.num_classes] = [places[key] for key in _keys(table.classes)]
    return out
