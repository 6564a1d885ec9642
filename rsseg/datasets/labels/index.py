"""A converted set as numbered objects: read once, sorted and filtered in memory, one object read when it is wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.datasets.labels.converted import ConvertedSet
from rsseg.datasets.labels.decisions import state_of
from rsseg.datasets.labels.records import Instance, LabelledTile
from rsseg.datasets.labels.selection import SCORES, WHOLE_BOX
from rsseg.errors import DataError
from rsseg.io.coco import annotation_lines, annotation_of
from rsseg.io.sums import sum_of

__all__ = ["ORDERS", "InstanceIndex", "stamp_of"]

ORDERS = {
    "suspicious": "lowest score first",
    "score": "highest score first",
    "small": "smallest first",
    "large": "largest first",
    "file": "tile by tile",
}
"""Orders of objects, and what they are called."""
_STATE = "S16"
_BLOCK = 50_000
_Row = tuple[tuple[int, int], tuple[int, int, int], list[float], str]


class InstanceIndex:
    """The objects of a converted set, numbered from 0 as they stand in ``instances.json``.

    They take up to 400 bytes each while they are read, and a quarter of that afterwards.

    Args:
        root: Folder of the set.

    Attributes:
        labels: The set.
        label: (N,) int16 class ids.
        tile: (N,) int32 rows of ``tiles.csv``, from 0.
        area: (N,) int64 pixels.
        score: (N,) float32, higher is better; NaN where there is none.
        score_kind: Key of :data:`~rsseg.datasets.labels.selection.SCORES` that ``score`` goes by; None without scores.
        whole_state: As many digits for the states of all objects.
        state: (N,) what :func:`~rsseg.datasets.labels.decisions.state_of` gives, as bytes.

    Raises:
        FileNotFoundError: The conversion has not finished.
        DataError: The set is damaged, or another program saved ``instances.json``.
    """

    def __init__(self, root: Path) -> None:
        self.labels = ConvertedSet(root)
        self.path = root / "instances.json"
        self.stamp = stamp_of(root)
        self._categories = self.labels.categories()
        names = {category: self.labels.table.classes[label] for category, label in self._categories.items()}
        parts = [self._pack([])]
        rows: list[_Row] = []
        for number, (start, length, row) in enumerate(annotation_lines(self.path)):
            try:
                category, tile, area = row["category_id"], row["image_id"] - 1, round(row["area"])
                if not 0 <= tile < len(self.labels):
                    raise KeyError(f"image {tile + 1}")
                scores = [_number(row.get(kind)) for kind in SCORES]
                state = state_of(names[category], row)
                rows.append(((start, length), (self._categories[category], tile, area), scores, state))
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{self.path}: annotation {number + 1} is damaged ({error}); convert again") from error
            if len(rows) == _BLOCK:
                parts.append(self._pack(rows))
                rows = []
        parts.append(self._pack(rows))
        self._lines, table, scored, self.state = (np.concatenate(column) for column in zip(*parts, strict=True))
        self.label, self.tile, self.area = (
            table[:, 0].astype(np.int16),
            table[:, 1].astype(np.int32),
            table[:, 2].copy(),
        )
        self._by_state = np.argsort(self.state, kind="stable")
        self.score, self.score_kind = self._score(scored)
        self._orders: dict[str, NDArray[np.int64]] = {}
        self.whole_state = sum_of(self.state.tobytes())[: self.state.itemsize]

    def __len__(self) -> int:
        return len(self.label)

    @staticmethod
    def _pack(rows: list[_Row]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.bytes_]]:
        """Rows as arrays, which take a tenth of the memory."""
        lines, numbers, scores, states = ([row[i] for row in rows] for i in range(4))
        return (
            np.array(lines, np.int64).reshape(-1, 2),
            np.array(numbers, np.int64).reshape(-1, 3),
            np.array(scores, np.float32).reshape(-1, len(SCORES)),
            np.array(states, _STATE),
        )

    def _score(self, values: NDArray[np.float32]) -> tuple[NDArray[np.float32], str | None]:
        """By the first kind of score that is known; see :class:`~rsseg.datasets.labels.selection.Scoring`."""
        seen = self.area > 0
        for values_of, kind in zip(values.T, SCORES, strict=True):
            known = seen & np.isfinite(values_of)
            if not known.any():
                continue
            score = np.where(seen, values_of, np.float32(np.nan))
            if kind == "mask_to_box":
                whole = known & (values_of >= WHOLE_BOX) & (values_of <= 1)
                score = np.where(whole, np.float32(np.nan), self._typical(values_of, known & ~whole))
            return score.astype(np.float32), kind
        return np.full(len(seen), np.nan, np.float32), None

    def _typical(self, ratio: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
        """How close the mask's share of its box is to the median of its class."""
        out = np.full(len(ratio), np.nan, np.float32)
        for label in np.unique(self.label[known]):
            own = known & (self.label == label)
            usual = max(float(np.median(ratio[own])), 1e-9)
            values = np.maximum(ratio[own], 1e-9)
            out[own] = np.minimum(values / usual, usual / values)
        return out

    def order(self, name: str) -> NDArray[np.int64]:
        """Numbers (N,) in one of :data:`ORDERS`; empty masks and such without a score are the most suspicious ones.

        Raises:
            LookupError: There is no such order.
        """
        keys: dict[str, Callable[[], NDArray[Any]]] = {
            "suspicious": lambda: np.where(np.isnan(self.score), -1.0, self.score) - (self.area == 0),
            "score": lambda: -np.where(np.isnan(self.score), -1.0, self.score),
            "small": lambda: self.area,
            "large": lambda: -self.area,
            "file": lambda: np.arange(len(self)),
        }
        if name not in keys:
            raise LookupError(f"there is no order {name!r}; expected one of: {', '.join(ORDERS)}")
        if name not in self._orders:
            self._orders[name] = np.argsort(keys[name](), kind="stable")
        return self._orders[name]

    def read(self, number: int) -> tuple[LabelledTile, Instance]:
        """An object and its tile (without instances).

        Raises:
            LookupError: There is no object with this number.
            DataError: The file has changed or is damaged.
        """
        if not 0 <= number < len(self):
            raise LookupError(f"there is no object {number}; there are {len(self)}, from 0 on")
        start, length = self._lines[number].tolist()
        with self.path.open("rb") as file:
            file.seek(start)
            row = annotation_of(file.read(length), f"{self.path}, annotation {number + 1}")
        tile = int(self.tile[number])
        return self.labels.tile(tile), self.labels.instance(row, tile, self._categories)

    def find(self, tile: str, object_id: str, state: str) -> int | None:
        """Number of the object of a tile in a state; None where it is not there (any more)."""
        key = np.array(state.encode(), _STATE)
        first = int(np.searchsorted(self.state, key, "left", sorter=self._by_state))
        while first < len(self) and self.state[number := int(self._by_state[first])] == key:
            own, instance = self.read(number)
            if own.name == tile and instance.source_object_id == object_id:
                return number
            first += 1
        return None


def stamp_of(root: Path) -> tuple[int, int]:
    """Size and time of the objects' file, by which a set that was converted again is told."""
    found = (root / "instances.json").stat()
    return found.st_size, found.st_mtime_ns


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
