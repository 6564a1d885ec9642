"""The outcome of a dataset check as text: one table per label set, then problems and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rsseg.datasets.checking.check import Check, Tally, class_weights
from rsseg.datasets.checking.parts import SPLITS, UNKNOWN
from rsseg.io.tables import boxed
from rsseg.metainfo import IGNORE

__all__ = ["describe"]


def describe(check: Check, shown: int = 3) -> str:
    """The check as text.

    Args:
        check: What :func:`rsseg.datasets.checking.check.check_config` found.
        shown: How many files to name of each kind of problem.
    """
    sets: dict[tuple[str, tuple[str, ...]], list[Tally]] = {}
    for tally in check.tallies:
        sets.setdefault((tally.part.name, tally.part.classes), []).append(tally)
    lines = []
    for (name, _), tallies in sets.items():
        lines += [_heading(name, tallies), *_images(tallies), _table(tallies), ""]
    for name, proposal in check.proposals.items():
        lines += [f"proposal for a config of {name}", *(f"    {line}" for line in proposal), ""]
    lines += _listed("problem", check.problems, shown) + _listed("note", check.notes, shown)
    count = sum(map(len, check.problems.values()))
    end = f"{count} problem(s)" if count else "no problems"
    if check.notes and not count:
        end += f", but {len(check.notes)} note(s) above: see that each is meant so before you train"
    return "\n".join([*lines, end])


def _heading(name: str, tallies: Sequence[Tally]) -> str:
    parts = (f"{tally.part.split} {len(tally.part.files)} images" for tally in tallies)
    return f"{name}: {', '.join(parts)}"


def _images(tallies: Sequence[Tally]) -> list[str]:
    """What the images of a label set are like: kinds of files, and each band as the model sees it."""
    lines = []
    for tally in tallies:
        seen, split = tally.images_seen, tally.part.split
        lines += [f"    {split}: {count} x {kind}" for kind, count in sorted(seen.kinds.items())]
        found = seen.statistics
        if found.count:
            share = 100 * (1 - found.count / max(seen.pixels, 1))
            bands = tally.part.spec.bands if tally.part.spec is not None else None
            names = [f"band {band}" for band in bands or ()] or _names(len(found.mean))
            rows = zip(names, found.mean, found.std, found.low, found.high, strict=True)
            texts = (f"{name} {mean:.1f} +- {std:.1f} ({low:g}..{high:g})" for name, mean, std, low, high in rows)
            lines.append(f"    {split}: as the model sees them, mean +- deviation: {'; '.join(texts)}; "
                         f"{share:.2f} % of the pixels have no data")  # fmt: skip
    return lines


def _names(count: int) -> list[str]:
    return ["red", "green", "blue"] if count == 3 else [f"band {i}" for i in range(1, count + 1)]


def _table(tallies: Sequence[Tally]) -> str:
    """Classes of one label set in all its splits."""
    first = tallies[0].part
    splits = [split for split in SPLITS if any(t.part.split == split and t.counts.any() for t in tallies)]
    weights = [class_weights(_sum([t for t in tallies if t.part.split == split])) for split in splits[:1]]
    columns = [f"{split} {what}" for split in splits for what in ("%", "images")]
    rows = []
    totals = [_sum([t for t in tallies if t.part.split == split]) for split in splits]
    for i, name in enumerate(first.classes):
        row = [i, name, _values(first.meaning == i)]
        for total in totals:
            row += [_share(total.pixels[i], total.counts.sum()), int(total.images[i])]
        rows.append([*row, *(f"{w[i]:.3f}" if w[i] else "-" for w in (weights[0].values() if weights else ()))])
    for name, code in (("not labelled", IGNORE), ("UNKNOWN", UNKNOWN)):
        chosen = first.meaning == code
        there = chosen & (sum(total.counts for total in totals) > 0)
        if there.any():
            row = ["", name, _values(there)]
            for total in totals:
                row += [_share(total.counts[chosen].sum(), total.counts.sum()), ""]
            rows.append([*row, *([""] * (len(weights[0]) if weights else 0))])
    return boxed(["id", "class", "values", *columns, *(weights[0] if weights else ())], rows, left=[1])


def _sum(tallies: Sequence[Tally]) -> Tally:
    out = Tally(tallies[0].part)
    for name in ("counts", "pixels", "images", "context"):
        setattr(out, name, sum(getattr(tally, name) for tally in tallies))
    return out


def _values(chosen: np.ndarray) -> str:
    return ",".join(map(str, np.flatnonzero(chosen).tolist()))


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}" if whole else "-"


def _listed(word: str, found: Mapping[str, Sequence[str]], shown: int) -> list[str]:
    lines = []
    for kind, texts in found.items():
        lines.append(f"{word}: {kind} ({len(texts)})")
        lines += [f"    {text}" for text in texts[:shown]]
        if len(texts) > shown:
            lines.append(f"    ... {len(texts) - shown} more")
    return lines
