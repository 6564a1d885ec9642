"""BigEarthNet's label sets: CORINE Land Cover at its three levels, and the 19 classes made of them."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from rsseg.errors import ConfigError, DataError
from rsseg.metainfo.table import IGNORE, load_metainfo, table_path

__all__ = ["LABEL_SETS", "LabelSet", "load_label_set"]

LABEL_SETS = ("level3", "level2", "level1", "nineteen")
"""The 43 classes of level 3, the 15 of level 2, the 5 of level 1, and the 19."""

_UNLABELLED = (0, 335, 990, 995, 999)
"""Codes in reference maps that are none of the 43: no data, glaciers, unclassified land and water, no data."""
_DIGITS = {"level3": 3, "level2": 2, "level1": 1}


@dataclass(frozen=True)
class LabelSet:
    """One way to label BigEarthNet.

    Attributes:
        name: One of ``LABEL_SETS``.
        classes: Names by id.
        by_code: CLC code of level 3 -> id; codes of classes that the set drops are not in it.
        by_name: Name of level 3 -> id, None where the set drops the class.
    """

    name: str
    classes: tuple[str, ...]
    by_code: MappingProxyType[int, int]
    by_name: MappingProxyType[str, int | None]

    def ids(self, names: list[str] | tuple[str, ...], where: str) -> list[int]:
        """Sorted ids of labels, each once.

        Args:
            names: Names of level 3, or of this set itself.
            where: What to name in an error.

        Raises:
            DataError: A name is of neither.
        """
        found: set[int] = set()
        for name in names:
            if name in self.by_name:
                label = self.by_name[name]
            elif name in self.classes:
                label = self.classes.index(name)
            else:
                raise DataError(
                    f"{where}: {name!r} is not a label of {self.name}; expected one of: {', '.join(self.classes)}"
                )
            if label is not None:
                found.add(label)
        return sorted(found)

    def encode(self, codes: NDArray[np.uint16], where: str) -> NDArray[np.uint8]:
        """Ids of the pixels of a reference map.

        Args:
            codes: (...) uint16 CLC codes.
            where: What to name in an error.

        Returns:
            (...) uint8 ids, 255 for codes that the set drops, and for 335 (glaciers), 990 and 995
            (unclassified), 0 and 999 (no data).

        Raises:
            UserError: A code is no code of CLC.
        """
        present, places = np.unique(codes, return_inverse=True)
        table = _codes()
        unknown = [int(code) for code in present if int(code) not in table and int(code) not in _UNLABELLED]
        if unknown:
            raise DataError(f"{where}: value {unknown[0]} is not a CLC code; expected one of: {sorted(table)}")
        ids = np.array([self.by_code.get(int(code), IGNORE) for code in present], np.uint8)
        return ids[places].reshape(codes.shape)


@functools.cache
def _data() -> dict:
    return json.loads(table_path("bigearthnet").read_text(encoding="utf-8"))


@functools.cache
def _codes() -> dict[int, str]:
    return {row["code"]: row["name"] for row in _data()["categories"]}


@functools.cache
def load_label_set(name: str) -> LabelSet:
    """One of BigEarthNet's label sets; all derive from ``bigearthnet.json``.

    Classes of a level are in the order of their codes, those of the 19 as in ``bigearthnet19.json``.

    Raises:
        UserError: There is no such set.
    """
    if name not in LABEL_SETS:
        raise ConfigError(f"unknown label set {name!r}; expected one of: {', '.join(LABEL_SETS)}")
    rows, levels = _data()["categories"], _data()["levels"]
    if name == "nineteen":
        table = load_metainfo("bigearthnet19")
        classes = table.classes
        found = {row["code"]: table.index(row["to"]) for row in rows if "to" in row}
    else:
        digits = _DIGITS[name]
        keys = sorted({str(row["code"])[:digits] for row in rows})
        classes = tuple(_codes()[int(key)] if name == "level3" else levels[key] for key in keys)
        found = {row["code"]: keys.index(str(row["code"])[:digits]) for row in rows}
    by_name = {row["name"]: found.get(row["code"]) for row in rows}
    return LabelSet(name, classes, MappingProxyType(found), MappingProxyType(by_name))
