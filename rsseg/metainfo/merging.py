"""Classes of different label sets, merged by name into common ones.

A common table is a class table whose rows say in ``from`` which classes of which sets they take; classes that a set has
and no row takes stand in ``unused``.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsseg.errors import DataError
from rsseg.metainfo.counterparts import ids_by_rules, ids_in_common, name_key
from rsseg.metainfo.schema import read_table
from rsseg.metainfo.table import ClassTable, base_table, list_metainfo, load_metainfo, table_path

__all__ = ["ids_of_map", "merged_ids", "unmatched_ids"]


@functools.cache
def merged_ids(common: str, table: str) -> NDArray[np.uint8]:
    """Which common class each class of a label set becomes.

    Args:
        common: Name or path of the common table, for example ``landcover6``.
        table: Name or path of the set's class table, for example ``openearthmap``.

    Returns:
        (256,) uint8: training id of the set -> training id of the common table; 255 for classes it does not use and for
        all other values.

    Raises:
        UserError: The common table does not know the set, or takes a class twice or not at all.
    """
    path = table_path(common)
    target, source, key = load_metainfo(common), load_metainfo(table), Path(base_table(table)).stem
    data = read_table(path)
    rows = data["categories"]
    known = sorted({name for row in rows for name in row.get("from", {})})
    if key not in known:
        raise DataError(
            f"{path}: has no mapping for the classes of {key!r}; label sets with a mapping: "
            f"{', '.join(known) or 'none'}"
        )
    return ids_by_rules(source, target, data, key, str(path), base_table(table) != table)


def unmatched_ids(common: str, *tables: str) -> tuple[int, ...]:
    """Ids of the common classes that one of the label sets has nothing for, so that it can never be right about them.

    Args:
        common: As for :func:`merged_ids`.
        *tables: Class tables of the sets.

    Raises:
        UserError: As for :func:`merged_ids`.
    """
    held = [set(merged_ids(common, table).tolist()) for table in tables]
    return tuple(i for i in range(load_metainfo(common).num_classes) if not all(i in ids for ids in held))


def ids_of_map(common: str, table: ClassTable, name: str | None = None) -> NDArray[np.uint8]:
    """Which common class each class of a map becomes, by the rules of the common table, or else by name.

    Args:
        common: Name or path of the common table.
        table: Classes of the map.
        name: Name or path of its class table, where that is known; else it is the set with the same names among those
            that the common table has rules for.

    Returns:
        (256,) uint8: class id of the map -> training id of the common table; 255 for classes it does not use.

    Raises:
        UserError: A class has no counterpart.
    """
    data, target = read_table(table_path(common)), load_metainfo(common)
    known = sorted({key for row in data["categories"] for key in row.get("from", {})})
    if name is None:
        name = next((key for key in known if _has_names(key, table)), None)
    key = Path(base_table(name)).stem if name is not None else ""
    background = name is not None and base_table(name) != name
    where = f"{name or table.name} with --merge {common}"
    return ids_in_common(table, target, data, key, str(table_path(common)), where, background)


def _has_names(known: str, table: ClassTable) -> bool:
    """Whether a class table that comes with rsseg has the class names of another one, in the same order."""
    if known not in list_metainfo():
        return False
    return list(map(name_key, load_metainfo(known).classes)) == list(map(name_key, table.classes))
