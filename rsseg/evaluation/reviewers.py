"""How far reviewers agree about the objects that they have judged: counts, shares, kappa of two, alpha of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from rsseg.structures.confusion import cohen_kappa, nominal_alpha

__all__ = ["Group", "Pair", "Rated", "ReviewerAgreement", "compare_reviewers"]


@dataclass(frozen=True)
class Rated:
    """An object and what reviewers said about it.

    Attributes:
        name: What it is called: source image, tile, object ...
        group: What it was labelled as.
        verdicts: Reviewer -> verdict, such as ``accept`` or ``class: plane``.
    """

    name: tuple[str, ...]
    group: str
    verdicts: Mapping[str, str]


@dataclass(frozen=True)
class Group:
    """Agreement about some objects.

    Attributes:
        name: Name of the class, or ``all``.
        items: Objects that at least two have judged.
        equal: Share of pairs of judgements of one object that are equal; None where there is none.
        alpha: Krippendorff's alpha; None where there is no pair.
    """

    name: str
    items: int
    equal: float | None
    alpha: float | None


@dataclass(frozen=True)
class Pair:
    """Agreement of two reviewers about the objects that both have judged; Nones where there is none."""

    first: str
    second: str
    items: int
    equal: float | None
    kappa: float | None


@dataclass(frozen=True)
class ReviewerAgreement:
    """Outcome of a comparison.

    Attributes:
        reviewers: Their names.
        verdicts: All verdicts that were given.
        counts: Reviewer -> verdict -> how often.
        pairs: All pairs of reviewers.
        groups: ``all``, then each class.
        disagreements: Objects with different verdicts.
    """

    reviewers: tuple[str, ...]
    verdicts: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    pairs: tuple[Pair, ...]
    groups: tuple[Group, ...]
    disagreements: tuple[Rated, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "reviewers": {name: dict(own) for name, own in self.counts.items()},
            "pairs": [vars(pair) for pair in self.pairs],
            "groups": [vars(group) for group in self.groups],
            "disagreements": [{"object": list(row.name), "class": row.group, "verdicts": dict(row.verdicts)}
                              for row in self.disagreements],
        }  # fmt: skip


def compare_reviewers(rated: Sequence[Rated]) -> ReviewerAgreement:
    """Compare the verdicts of all reviewers."""
    reviewers = tuple(sorted({name for row in rated for name in row.verdicts}))
    verdicts = tuple(sorted({verdict for row in rated for verdict in row.verdicts.values()}))
    counts: dict[str, Counter[str]] = {name: Counter() for name in reviewers}
    for row in rated:
        for name, verdict in row.verdicts.items():
            counts[name][verdict] += 1
    several = [row for row in rated if len(row.verdicts) > 1]
    groups = [_group("all", several, verdicts)]
    for name in sorted({row.group for row in several}):
        groups.append(_group(name, [row for row in several if row.group == name], verdicts))
    return ReviewerAgreement(
        reviewers, verdicts, {name: dict(sorted(own.items())) for name, own in counts.items()},
        tuple(_pair(*pair, several, verdicts) for pair in combinations(reviewers, 2)), tuple(groups),
        tuple(row for row in several if len(set(row.verdicts.values())) > 1),
    )  # fmt: skip


def _group(name: str, rows: Sequence[Rated], verdicts: Sequence[str]) -> Group:
    if not rows:
        return Group(name, 0, None, None)
    counts = np.array([[list(row.verdicts.values()).count(verdict) for verdict in verdicts] for row in rows], np.int64)
    rated = counts.sum(1)
    same, pairs = int((counts * (counts - 1)).sum()), int((rated * (rated - 1)).sum())
    return Group(name, len(rows), same / pairs, nominal_alpha(counts))


def _pair(first: str, second: str, rows: Sequence[Rated], verdicts: Sequence[str]) -> Pair:
    both = [(row.verdicts[first], row.verdicts[second]) for row in rows if {first, second} <= row.verdicts.keys()]
    if not both:
        return Pair(first, second, 0, None, None)
    confusion = np.zeros((len(verdicts), len(verdicts)), np.int64)
    index = {verdict: i for i, verdict in enumerate(verdicts)}
    for one, other in both:
        confusion[index[one], index[other]] += 1
    return Pair(first, second, len(both), float(np.trace(confusion) / len(both)), cohen_kappa(confusion))
