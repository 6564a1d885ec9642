"""The report on a labelled set: tables, figures and one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rsseg.datasets.labels import LabelledSet
from rsseg.datasets.labels.measure import TILE_COLUMNS, measure
from rsseg.datasets.labels.selection import SCORES
from rsseg.io.files import replacing
from rsseg.io.tables import aligned, csv_writer, write_csv, write_json
from rsseg.reports.figures import save_figure
from rsseg.reports.labels.cards import make_cards
from rsseg.reports.labels.figures import FIGURES
from rsseg.reports.labels.page import render_page
from rsseg.reports.labels.tables import class_rows, size_rows

__all__ = ["report_labels", "totals_text"]


def report_labels(labels: LabelledSet, out: Path, gallery: int = 4, workers: int = 1) -> dict[str, Any]:
    """Write ``report.html``, ``totals.json``, ``classes.csv``, ``mask_sizes.csv``, ``tiles.csv`` and ``figures/``.

    Every file is replaced as a whole, and depends on the set alone.

    Args:
        labels: The set.
        out: Folder of the report; made where it is missing.
        gallery: Masks per class that the page shows of the best, of the middle and of the most suspicious ones;
            0 leaves the gallery out.
        workers: Processes that count.

    Returns:
        The totals, as in ``totals.json``.

    Raises:
        OSError: Writing failed, for example on a full disk; the message names the file.
        ValueError: The set is damaged.
    """
    out.mkdir(parents=True, exist_ok=True)
    with csv_writer(out / "tiles.csv", TILE_COLUMNS) as add_rows:
        found = measure(labels, gallery, workers, add_rows)
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
    return totals


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
