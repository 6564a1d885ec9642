"""The agreement of reviewers as text and CSV files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rsseg.datasets.labels.decision_files import read_all_decisions
from rsseg.datasets.labels.decisions import Decision, last_decisions, unseen_decisions
from rsseg.errors import DataError
from rsseg.evaluation.reviewers import Rated, ReviewerAgreement, compare_reviewers
from rsseg.io.tables import boxed, write_csv
from rsseg.messages import few

__all__ = ["agreement_of", "agreement_of_files", "reviewers_text", "write_reviewers"]

_OBJECT = ("source", "tile", "object", "state")


def agreement_of_files(paths: Sequence[Path]) -> ReviewerAgreement:
    """How far the reviewers agree whose decisions are in some files.

    Raises:
        FileNotFoundError: A file is missing.
        DataError: A line is no decision, or files were made for different sets.
    """
    sets, decisions = dict[str, Path](), []
    for path, own in read_all_decisions(paths):
        decisions.append(own)
        sets.setdefault(own.set_id, path)
    if len(sets) > 1:
        (one, first), (other, second) = list(sets.items())[:2]
        raise DataError(f"{first} has decisions about the set {one}, but {second} about the set {other}")
    return agreement_of(decisions)


def agreement_of(decisions: Iterable[Decision]) -> ReviewerAgreement:
    """How far reviewers agree; what they decided after they had finished does not count, as they had seen the others.

    Args:
        decisions: All lines of their files.
    """
    rated = []
    for key, reviewers in last_decisions(unseen_decisions(decisions)).items():
        label = next(iter(reviewers.values())).label
        rated.append(Rated(key, label, {name: own.verdict for name, own in reviewers.items()}))
    return compare_reviewers(rated)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _coefficient(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def reviewers_text(agreement: ReviewerAgreement) -> str:
    """What each reviewer decided, how far they agree, and the first objects about which they do not."""
    parts = []
    rows = [[name, sum(own.values()), *(own.get(verdict, 0) for verdict in agreement.verdicts)]
            for name, own in agreement.counts.items()]  # fmt: skip
    parts.append(boxed(["reviewer", "decided", *agreement.verdicts], rows))
    pairs = [[f"{pair.first}, {pair.second}", pair.items, _share(pair.equal), _coefficient(pair.kappa)]
             for pair in agreement.pairs]  # fmt: skip
    if pairs:
        parts.append(boxed(["two reviewers", "objects", "equal %", "Cohen's kappa"], pairs))
        groups = [[group.name, group.items, _share(group.equal), _coefficient(group.alpha)]
                  for group in agreement.groups]  # fmt: skip
        parts.append(boxed(["class", "objects", "equal %", "Krippendorff's alpha"], groups))
    texts = [
        f"{row.name[1]}, object {row.name[2]} ({row.group}): {', '.join(f'{n}: {v}' for n, v in row.verdicts.items())}"
        for row in agreement.disagreements
    ]
    if texts:
        parts.append(few(f"{len(texts)} objects about which they disagree:", texts, "disagreements.csv of --out"))
    return "\n".join(parts)


def write_reviewers(agreement: ReviewerAgreement, out: Path) -> None:
    """Write ``reviewers.csv``, ``pairs.csv``, ``classes.csv`` and ``disagreements.csv``.

    Raises:
        OSError: A file cannot be written; the message names it.
    """
    out.mkdir(parents=True, exist_ok=True)
    counts = [[name, *(own.get(verdict, 0) for verdict in agreement.verdicts)]
              for name, own in agreement.counts.items()]  # fmt: skip
    write_csv(out / "reviewers.csv", ["reviewer", *agreement.verdicts], counts)
    pairs = [[pair.first, pair.second, pair.items, pair.equal, pair.kappa] for pair in agreement.pairs]
    write_csv(out / "pairs.csv", ["first", "second", "objects", "equal_share", "cohen_kappa"], pairs)
    groups = [[group.name, group.items, group.equal, group.alpha] for group in agreement.groups]
    write_csv(out / "classes.csv", ["class", "objects", "equal_share", "krippendorff_alpha"], groups)
    rows = [[*row.name, row.group, *(row.verdicts.get(name) for name in agreement.reviewers)]
            for row in agreement.disagreements]  # fmt: skip
    write_csv(out / "disagreements.csv", [*_OBJECT, "class", *agreement.reviewers], rows)
