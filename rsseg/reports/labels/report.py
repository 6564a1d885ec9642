"""The report on a labelled set: tables, figures and one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rsseg.datasets.labels import LabelledSet, open_labels
from rsseg.datasets.labels.measure import TILE_COLUMNS, measure
from rsseg.datasets.labels.selection import SCORES
from rsseg.datasets.labels.shares import measure_share
from rsseg.datasets.labels.statistics import Statistics
from rsseg.errors import ConfigError
from rsseg.io.chunks import CHUNKS
from rsseg.io.files import replacing
from rsseg.io.shards import Shard
from rsseg.io.tables import aligned, csv_writer, write_csv, write_json
from rsseg.reports.figures import save_figure
from rsseg.reports.labels.cards import make_cards
from rsseg.reports.labels.figures import FIGURES, SET_FIGURES
from rsseg.reports.labels.page import render_page
from rsseg.reports.labels.tables import class_rows, size_rows

__all__ = ["named_sets", "report_label_sets", "report_labels", "totals_text"]


_ALL = Shard()
_TOTALS = ("tiles", "instances", "small", "medium", "large")


def report_labels(
    labels: LabelledSet, out: Path, gallery: int = 4, workers: int = 1, shard: Shard = _ALL
) -> dict[str, Any] | None:
    """Write ``report.html``, ``totals.json``, ``classes.csv``, ``mask_sizes.csv``, ``tiles.csv`` and ``figures/``.

    Every file is replaced as a whole, and depends on the set alone.

    Args:
        labels: The set.
        out: Folder of the report; made where it is missing.
        gallery: Masks per class that the page shows of the best, of the middle and of the most suspicious ones;
            0 leaves the gallery out.
        workers: Processes that count.
        shard: Which share of the tiles this job counts, of several that share the folder; the last one writes.

    Returns:
        The totals, as in ``totals.json``; None while other jobs have not done their share.

    Raises:
        OSError: Writing failed, for example on a full disk; the message names the file.
        ValueError: The set is damaged.
    """
    found = _report(labels, out, gallery, workers, shard)
    return None if found is None else found[0]


def report_label_sets(
    sets: Mapping[str, LabelledSet], out: Path, gallery: int = 4, workers: int = 1, shard: Shard = _ALL
) -> dict[str, dict[str, Any]] | None:
    """Reports of several sets, each in a folder of its own, and what they hold side by side.

    Args:
        sets: Name -> set; the names are those of the folders in ``out``.
        out: Folder; it also gets ``sets.csv``, ``sets_classes.png`` and ``sets_mask_sizes.png``.
        gallery: As for :func:`report_labels`.
        workers: As there.
        shard: As there.

    Returns:
        The totals of each set; None while other jobs have not done their share.

    Raises:
        OSError: As for :func:`report_labels`.
        ValueError: As there.

    Source: SAMRS paper, figures 5 (a column for each set) and 6.
    """
    reports = {name: _report(labels, out / name, gallery, workers, shard) for name, labels in sets.items()}
    found = {name: report for name, report in reports.items() if report is not None}
    if len(found) < len(reports):
        return None
    rows = [[name, *(totals[key] for key in _TOTALS)] for name, (totals, _) in found.items()]
    write_csv(out / "sets.csv", ["set", *_TOTALS], rows)
    statistics = {name: (own, sets[name].table) for name, (_, own) in found.items()}
    for name, draw in SET_FIGURES.items():
        save_figure(draw(statistics), out / f"sets_{name}.png")
    return {name: totals for name, (totals, _) in found.items()}


def named_sets(
    roots: Sequence[Path], images: Path | None, classes: str | None, out: Path | None
) -> dict[str, LabelledSet]:
    """Several sets by the names of their class tables, or of their folders where two have one table.

    Raises:
        ConfigError: There is no folder for the reports, or an option names images or classes of one set alone.
        DataError: As for :func:`rsseg.datasets.labels.open_labels`.
    """
    if out is None or images is not None or classes is not None:
        raise ConfigError("the report on several sets requires --out, and takes neither --images nor --classes")
    sets = [open_labels(root) for root in roots]
    names = [own.table.name for own in sets]
    if len(set(names)) < len(names):
        names = [own.root.resolve().name for own in sets]
    if len(set(names)) < len(names):
        raise ConfigError(f"several sets are called {names[0]}; rename their folders")
    return dict(zip(names, sets, strict=True))


def _report(
    labels: LabelledSet, out: Path, gallery: int, workers: int, shard: Shard
) -> tuple[dict[str, Any], Statistics] | None:
    out.mkdir(parents=True, exist_ok=True)
    if shard.world == 1:
        with csv_writer(out / "tiles.csv", TILE_COLUMNS) as add_rows:
            found = measure(labels, gallery, workers, add_rows)
    else:
        shared = measure_share(labels, out / CHUNKS, shard, gallery, workers)
        if shared is None:
            return None
        found = shared
        write_csv(out / "tiles.csv", TILE_COLUMNS, found.rows)
    statistics, kind = found.statistics, found.selection.scoring.kind
    for name, (columns, rows) in {"classes": class_rows(statistics), "mask_sizes": size_rows(statistics)}.items():
        write_csv(out / f"{name}.csv", columns, rows)
    for name, draw in FIGURES.items():
        save_figure(draw(statistics, labels.table), out / "figures" / f"{name}.png")
    cards, image_problems = make_cards(list(found.selection.choices()))
    problems = [*found.problems, *image_problems]
    score_text = None if kind is None else SCORES[kind]
    page = render_page(statistics, labels.table, cards, _about(labels), score_text, problems)
    with replacing(out / "report.html") as file:
        file.write(page.encode("utf-8"))
    totals = {"set": labels.table.name, **statistics.as_dict(), "score": kind, "problems": problems}
    write_json(out / "totals.json", totals)
    return totals, statistics


def _about(labels: LabelledSet) -> dict[str, str]:
    """Where the labels come from, as far as the set says."""
    manifest = labels.manifest or {}
    config, predictor = manifest.get("config", {}), manifest.get("predictor") or {}
    checkpoint = predictor.get("sha256")
    return {
        "folder": labels.root.resolve().name,
        "mask model": " ".join(str(predictor[key]) for key in ("name", "model", "precision") if predictor.get(key)),
        "prompt": str(config.get("prompt", "")),
        "checkpoint": f"sha256 {checkpoint[:16]}…" if checkpoint else "",
        "made with": f"rsseg {version}" if (version := manifest.get("versions", {}).get("rsseg")) else "",
    }


def totals_text(totals: dict[str, Any]) -> str:
    """The totals of :func:`report_labels` as aligned text."""
    rows = []
    for name, value in totals.items():
        if isinstance(value, bool | int | float | str):
            rows.append((name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value)))
    rows.append(("problems", str(len(totals["problems"]))))
    return aligned(rows)
