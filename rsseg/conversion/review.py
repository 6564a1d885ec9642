"""What is done with the decisions of reviewers: one outcome for each object, for all who convert."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsseg.datasets.labels.decision_files import read_all_decisions
from rsseg.datasets.labels.decisions import Decision, Key, last_decisions
from rsseg.errors import ConfigError, DataError
from rsseg.io.sums import sum_of
from rsseg.io.tables import json_text

__all__ = [
    "ACCEPT",
    "CONFLICT",
    "RULES",
    "Outcome",
    "Review",
    "load_review",
    "outcome_row",
    "resolve",
    "review_summary",
]

RULES = ("majority", "any-reject", "unanimous")
"""What happens where reviewers disagree, see :func:`resolve`."""
CONFLICT = "conflict"
"""Action of an outcome that changes nothing, since reviewers disagree or it cannot be applied."""
ACCEPT = "accept"
"""Action of an outcome that changes nothing, since the object is right."""


@dataclass(frozen=True)
class Outcome:
    """What is done with an object in one state.

    Attributes:
        action: ``reject``, ``class``, ``box``, ``mask``, or ``accept`` and ``conflict``, where nothing is changed.
        reviewers: Who wanted it; of a conflict all who decided, with their verdicts.
        new_class: Name of its new class, where it gets one.
        box: x1 y1 x2 y2 in tile pixels, of ``box``.
        mask: Compressed RLE of the tile's size, of ``mask``.
    """

    action: str
    reviewers: tuple[str, ...]
    new_class: str | None = None
    box: tuple[float, ...] | None = None
    mask: dict[str, Any] | None = None

    def as_row(self) -> dict[str, Any]:
        """JSON values, without what it does not have."""
        values = {"action": self.action, "reviewers": list(self.reviewers), "to": self.new_class,
                  "box": None if self.box is None else list(self.box), "mask": self.mask}  # fmt: skip
        return {name: value for name, value in values.items() if value is not None}


def resolve(decisions: Mapping[str, Decision], rule: str = "majority") -> Outcome:
    """The outcome of what reviewers decided about one object.

    ``majority``: what more than half of those who decided about the object want; ``any-reject``: it goes where at least
    one rejects it, otherwise as ``majority``; ``unanimous``: what all want.  Otherwise there is a conflict.  All
    redraws count as one opinion, if they agree in the class; the latest one is used.

    Args:
        decisions: The last decision of each reviewer, by name.
        rule: One of ``RULES``.
    """
    votes = Counter(decision.verdict for decision in decisions.values())
    verdict, count = votes.most_common(1)[0]
    if rule == "any-reject" and votes["reject"]:
        verdict = "reject"
    elif count < len(decisions) if rule == "unanimous" else 2 * count <= len(decisions):
        return Outcome(CONFLICT, tuple(f"{name}: {own.verdict}" for name, own in sorted(decisions.items())))
    agreed = {name: own for name, own in sorted(decisions.items()) if own.verdict == verdict}
    last = max(agreed.values(), key=lambda own: own.time)
    return Outcome(last.decision, tuple(agreed), last.new_class, last.box, last.mask)


@dataclass(frozen=True)
class Review:
    """The decisions of all reviewers, resolved.

    Attributes:
        set_ids: The sets that they were made for, each with the first file that says so.
        rule: How they were resolved.
        decided: Reviewer -> objects that they decided about.
        outcomes: Source image -> key -> outcome of objects that do not simply stay as they are.
        accepted: The same of those that do.
    """

    set_ids: Mapping[str, str]
    rule: str
    decided: Mapping[str, int]
    outcomes: Mapping[str, Mapping[Key, Outcome]] = field(default_factory=dict)
    accepted: Mapping[str, Mapping[Key, Outcome]] = field(default_factory=dict)

    def check_set(self, set_id: str, out: Path) -> None:
        """See that the decisions were made for the labels that are converted.

        Raises:
            DataError: A file was made for others.
        """
        for other, path in self.set_ids.items():
            if other != set_id:
                raise DataError(
                    f"{path}: its decisions were made for the set {other}, but {out} gets the set {set_id}, of other "
                    "classes, prompts, transforms, tiles or another mask model; give the config and options that the "
                    "reviewed labels were converted with, or another --review"
                )

    def of_image(self, source: str) -> Mapping[Key, Outcome]:
        """The outcomes of a source image."""
        return self.outcomes.get(source, {})

    def digest(self, source: str) -> str | None:
        """32 hexadecimal digits for the outcomes of a source image; None where there are none."""
        own = self.of_image(source)
        if not own:
            return None
        return sum_of(json_text([[*key, outcome.as_row()] for key, outcome in own.items()]).encode())[:32]

    def stale(self, source: str, used: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Rows for the outcomes of an image that found no object in the state they were made for.

        Args:
            source: The source image.
            used: ``tile``, ``source_object_id`` and ``state`` of those that did.
        """
        found = {(source, row["tile"], row["source_object_id"], row["state"]) for row in used}
        return [outcome_row(key, outcome) for key, outcome in self.of_image(source).items() if key not in found]


def outcome_row(key: Key, outcome: Outcome) -> dict[str, Any]:
    """An outcome as it stands in the manifest; masks are left out."""
    own = {name: value for name, value in outcome.as_row().items() if name != "mask"}
    return {"tile": key[1], "source_object_id": key[2], "state": key[3], **own}


def review_summary(
    review: Review, lists: Mapping[str, list[Any]], sources: Container[str], right: Container[Key]
) -> dict[str, Any]:
    """What the manifest says of a review: who decided, what was done, and what could not be.

    Args:
        review: The outcomes.
        lists: ``reviewed`` and ``stale``, rows of all source images.
        sources: The source images that there are.
        right: Keys of the accepted objects that are in the set.
    """
    used, stale = lists.get("reviewed", []), list(lists.get("stale", []))
    for name, outcomes in review.outcomes.items():
        if name not in sources:
            stale += [{"source": name, **outcome_row(key, outcome)} for key, outcome in outcomes.items()]
    accepted = {key: outcome for own in review.accepted.values() for key, outcome in own.items()}
    gone = {key: outcome for key, outcome in accepted.items() if key not in right}
    stale += [{"source": key[0], **outcome_row(key, outcome)} for key, outcome in gone.items()]
    counts = Counter(row["action"] for row in used)
    changes = [row for row in used if row["action"] != CONFLICT]
    return {
        "rule": review.rule,
        "reviewers": dict(review.decided),
        "counts": {
            "accepted": len(accepted) - len(gone),
            "rejected": counts["reject"],
            "reclassified": sum("to" in row for row in changes),
            "redrawn": counts["box"] + counts["mask"],
            "conflicts": counts[CONFLICT],
            "stale": len(stale),
        },
        "changes": changes,
        "conflicts": [row for row in used if row["action"] == CONFLICT],
        "stale": stale,
    }


def load_review(paths: Sequence[Path | str], rule: str, classes: Sequence[str]) -> Review:
    """Read files of decisions, of one reviewer or several, and resolve them.

    Args:
        paths: The files.
        rule: One of ``RULES``.
        classes: Names of the classes of the set.

    Raises:
        FileNotFoundError: A file is missing.
        ConfigError: There is no such rule.
        DataError: A line is no decision, or names a class that there is not.
    """
    if rule not in RULES:
        raise ConfigError(f"unknown review rule {rule!r}; expected one of: {', '.join(RULES)}")
    decisions, set_ids = list[Decision](), dict[str, str]()
    for path, own in read_all_decisions([Path(path) for path in paths], classes):
        set_ids.setdefault(own.set_id, str(path))
        decisions.append(own)
    outcomes, accepted = dict[str, dict[Key, Outcome]](), dict[str, dict[Key, Outcome]]()
    decided = Counter[str]()
    for key, reviewers in last_decisions(decisions).items():
        decided.update(reviewers.keys())
        outcome = resolve(reviewers, rule)
        group = accepted if outcome.action == ACCEPT else outcomes
        group.setdefault(key[0], {})[key] = outcome
    return Review(set_ids, rule, dict(sorted(decided.items())), outcomes, accepted)
