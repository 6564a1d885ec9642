"""Which masks of a set to look at: per class the best, the median, the most suspicious and some empty ones.

One pass over the set, with a bounded number of masks in memory however many there are.  What is chosen depends on the
set alone: ties, and the sample that the median ones are taken from, go by a checksum of tile and object.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from rsseg.datasets.labels import Instance, LabelledSet, LabelledTile
from rsseg.datasets.labels.statistics import MASK_BOX_RATIO_EDGES, Statistics, median

__all__ = ["KINDS", "SCORES", "WHOLE_BOX", "Choice", "Scoring", "Selection", "scoring_of"]

KINDS = ("best", "median", "suspicious", "empty")
SCORES = {
    "predicted_iou": "the mask model's predicted IoU",
    "stability": "stability score",
    "mask_to_box": "typical size, since the mask model gives no score: how close the mask's share of its box is to "
    "that of its class (1 = the class's median). It says nothing about quality; masks that fill their box have none",
}
"""What masks may be ordered by, the first one that a set has; key -> description."""
WHOLE_BOX = 0.995
"""Share of its box from which on a mask is the box itself: what a predictor gives that has found nothing."""
_SAMPLE = 256


@dataclass(frozen=True)
class Choice:
    """A mask to show, with the tile that it is in (``tile.instances`` is left empty); ``kind`` is one of ``KINDS``."""

    kind: str
    score: float | None
    tile: LabelledTile
    instance: Instance


@dataclass(frozen=True)
class Scoring:
    """How masks are scored, higher is better.

    Attributes:
        kind: Key of ``SCORES``; ``None`` for a set without any of them.
        usual: For ``mask_to_box`` the median of mask area / box area of every class, ``None`` where unknown.
    """

    kind: str | None = None
    usual: tuple[float | None, ...] = ()

    def __call__(self, instance: Instance) -> float | None:
        """Score of a mask; ``None`` where it has none, such as a typical size where it is the whole box."""
        if self.kind is None:
            return None
        value = getattr(instance, self.kind)
        if self.kind != "mask_to_box" or value is None:
            return value
        if WHOLE_BOX <= value <= 1:
            return None
        usual = self.usual[instance.label]
        return min(value / usual, usual / value) if usual and value > 0 else 0.0


def scoring_of(labels: LabelledSet) -> Scoring:
    """By the first key of ``SCORES`` that is known for the first mask of a set.

    Args:
        labels: The set.  It is read up to the first mask; for ``mask_to_box`` to its end, label maps excepted.
    """
    masks = (instance for tile in labels for instance in tile.instances if instance.area > 0)
    first = next(masks, None)
    kind = next((kind for kind in SCORES if first is not None and getattr(first, kind) is not None), None)
    if kind != "mask_to_box":
        return Scoring(kind)
    statistics = Statistics(labels.table.classes)
    for tile in labels:
        statistics.add_mask_box_ratios([instance for instance in tile.instances if instance.area > 0])
    return Scoring(kind, tuple(median(counts, MASK_BOX_RATIO_EDGES) for counts in statistics.mask_box_ratios))


_Key = tuple[float, int]
_Entry = tuple[_Key, str, Choice]


@dataclass
class _Shortest:
    """The ``size`` entries with the smallest keys."""

    size: int
    entries: list[_Entry] = field(default_factory=list)
    limit: _Key | None = None

    def offer(self, entry: _Entry) -> None:
        if self.limit is not None and entry[0] >= self.limit:
            return
        self.entries.append(entry)
        if len(self.entries) >= 2 * self.size:
            self.trim()

    def trim(self) -> list[_Entry]:
        self.entries.sort(key=lambda entry: entry[:2])
        del self.entries[self.size :]
        if len(self.entries) == self.size:
            self.limit = self.entries[-1][0]
        return self.entries


class Selection:
    """The masks worth a look, chosen while a set streams by; selections of parts of a set can be joined.

    Args:
        classes: Number of classes.
        keep: Masks of each kind and class; a third of it (at least one) for empty ones.
        scoring: What to order them by.
    """

    def __init__(self, classes: int, keep: int, scoring: Scoring) -> None:
        self.classes, self.keep, self.scoring = classes, keep, scoring
        sizes = {"best": keep, "suspicious": keep, "sample": max(_SAMPLE, 3 * keep), "empty": -(-keep // 3)}
        self._pools = [{name: _Shortest(size) for name, size in sizes.items()} for _ in range(classes if keep else 0)]

    def offer(self, tile: LabelledTile, bare: LabelledTile) -> None:
        """Look at the masks of a tile.

        Args:
            tile: The tile.
            bare: The same tile without instances, for the choices to keep.
        """
        for i, instance in enumerate(tile.instances if self.keep else ()):
            name = f"{tile.name}:{i}"
            chance = zlib.crc32(name.encode())
            score = self.scoring(instance)
            entry = Choice("", score, bare, instance)
            pools = self._pools[instance.label]
            if not instance.area:
                pools["empty"].offer(((chance, i), name, entry))
                continue
            pools["sample"].offer(((chance, i), name, entry))
            if score is None and self.scoring.kind == "mask_to_box":
                pools["suspicious"].offer(((-1, chance), name, entry))
            if score is not None:
                pools["best"].offer(((-score, chance), name, entry))
                pools["suspicious"].offer(((score, chance), name, entry))

    def join(self, other: Selection) -> None:
        """Take over what the selection of another part of the set found."""
        for mine, theirs in zip(self._pools, other._pools, strict=True):
            for name, pool in theirs.items():
                for entry in pool.trim():
                    mine[name].offer(entry)

    def choices(self) -> Iterator[Choice]:
        """The choice, class by class: best, median, suspicious (from the better to the worse), then empty ones."""
        for pools in self._pools:
            chosen = self._ranked(pools)
            chosen["empty"] = pools["empty"].trim()
            for kind in KINDS:
                for _, _, choice in chosen[kind]:
                    yield Choice(kind, choice.score, choice.tile, choice.instance)

    def _ranked(self, pools: dict[str, _Shortest]) -> dict[str, list[_Entry]]:
        best, worst, sample = (pools[name].trim() for name in ("best", "suspicious", "sample"))
        every = {entry[1]: entry for entry in (*sample, *best, *worst)}
        ordered = sorted(every.values(), key=lambda entry: (-(entry[2].score or 0), entry[1]))
        if not best:
            return {"best": [], "median": sample[: self.keep], "suspicious": []}
        if len(ordered) <= 3 * self.keep:
            parts = np.array_split(np.arange(len(ordered)), 3)
            return {kind: [ordered[i] for i in part] for kind, part in zip(KINDS, parts, strict=False)}
        taken = {name for _, name, _ in (*best, *worst)}
        middle = [entry for entry in sample if entry[2].score is not None]
        middle.sort(key=lambda entry: (-(entry[2].score or 0), entry[1]))
        rest = [entry for entry in middle if entry[1] not in taken]
        start = max(0, (len(rest) - self.keep) // 2)
        return {"best": best, "median": rest[start : start + self.keep], "suspicious": worst[::-1]}
