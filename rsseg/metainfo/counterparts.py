"""Which class of one table stands for which class of another: by stated rules, or by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.errors import DataError

__all__ = ["IGNORE", "ids_by_name", "ids_by_rules", "ids_in_common", "name_key"]

IGNORE = 255
"""Training id of pixels without a label."""


def name_key(name: str) -> str:
    """A class name without what makes no difference between two of them: case, spaces, ``_`` and ``-``."""
    return name.strip().lower().replace(" ", "-").replace("_", "-")


def ids_in_common(
    source: Any, target: Any, data: Mapping[str, Any], key: str, path: str, where: str, background: bool = False
) -> NDArray[np.uint8]:
    """By the rules of a common table where it has some for a set, else by name; see the two functions below.

    Args:
        source: Class table of the set.
        target: The common class table.
        data: Content of the common table's file.
        key: Name of the set in its rules.
        path: The common table's file, for messages.
        where: What to name in an error where there are no rules.
        background: Whether the last class of the set is one that no rule knows.
    """
    if any(key in row.get("from", {}) for row in data["categories"]):
        return ids_by_rules(source, target, data, key, path, background)
    return ids_by_name(source, target, data.get("unused", {}).get(key, ()), where)


def ids_by_rules(
    source: Any, target: Any, data: Mapping[str, Any], key: str, path: str, background: bool = False
) -> NDArray[np.uint8]:
    """By the rules of a common table: its rows say in ``from`` what they take, ``unused`` says what none takes.

    Args:
        source: Class table of the set.
        target: The common class table.
        data: Content of the common table's file.
        key: Name of the set in its rules.
        path: The common table's file, for messages.
        background: Whether the last class of the set is one that no rule knows.

    Returns:
        (256,) uint8: training id of the set -> training id of the common table, 255 for all else.

    Raises:
        UserError: The common table takes a class twice or not at all, or one that is not there.
    """
    out = np.full(256, IGNORE, np.uint8)
    taken: dict[int, str] = {}
    uses = [(target.classes[row["id"]], row["id"], row.get("from", {}).get(key, ())) for row in data["categories"]]
    for name, train_id, classes in (*uses, ("unused", IGNORE, data.get("unused", {}).get(key, ()))):
        for one in classes:
            i = source.index(one)
            if i in taken:
                raise DataError(f"{path}: class {one!r} of {key!r} maps to both {taken[i]!r} and {name!r}; keep one")
            taken[i], out[i] = name, train_id
    if background and source.num_classes - 1 not in taken:  # no table of several sets has that class
        taken[source.num_classes - 1] = "unused"
    left = [name for i, name in enumerate(source.classes) if i not in taken]
    if left:
        raise DataError(f"{path}: has no mapping for {', '.join(left)} of {key!r}; add each to a 'from' or to 'unused'")
    return out


def ids_by_name(source: Any, target: Any, unused: Sequence[str], where: str) -> NDArray[np.uint8]:
    """By name: each class becomes the one that its ``to`` names, or else that of its own name.

    Args:
        source: Class table of the set.
        target: The common class table.
        unused: Classes of the set that are ignored.
        where: What to name in an error.

    Returns:
        As :func:`ids_by_rules`.

    Raises:
        DataError: A class has no counterpart and is not among the unused ones.
    """
    known = {name_key(name): i for i, name in enumerate(target.classes)}
    left_out = {name_key(name) for name in unused}
    out, unknown = np.full(256, IGNORE, np.uint8), []
    for i, name in enumerate(source.classes):
        merged = source.to[i] if source.to else None
        match = known.get(name_key(merged or name), known.get(name_key(name)))
        if match is not None:
            out[i] = match
        elif name_key(name) not in left_out:
            unknown.append(name)
    if unknown:
        raise DataError(
            f"{where}: {target.name} has no class for {', '.join(unknown)} of {source.name}; its classes are "
            f"{', '.join(target.classes)}. Give the rows of {source.name} a 'to' with one of these names, or state in "
            "the common table which classes are left out ('unused')"
        )
    return out
