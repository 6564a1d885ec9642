"""A comparison of labels as text, CSV files and a figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from rsseg.evaluation.agreement import Agreement
from rsseg.io.tables import boxed, write_csv
from rsseg.reports.figures import INK, figure_and_axes, in_style

__all__ = ["agreement_text", "confusion_figure", "write_agreement"]


def agreement_text(agreement: Agreement) -> str:
    """Per-class IoU and shares, and the share of equal pixels."""
    confusion, score = agreement.confusion, agreement.scores
    total, rows = max(int(confusion.sum()), 1), []
    for i, name in enumerate(agreement.classes):
        shares = (100 * confusion[i].sum() / total, 100 * confusion[:, i].sum() / total)
        scores = (100 * score[key][i] for key in ("IoU", "F1"))
        label = f"({name}, not scored)" if i in agreement.unscored else name
        rows.append([label, *("-" if np.isnan(v) else f"{v:.2f}" for v in scores), *map("{:.2f}".format, shares)])
    mean = 100 * float(score["mIoU"])
    lines = [
        boxed(["class", "IoU", "F1", "first %", "second %"], rows),
        f"equal pixels {100 * agreement.equal:.2f} %  mIoU {mean:.2f}  kappa {agreement.kappa:.4f}",
        f"{len(agreement.names)} images, {confusion.sum()} pixels compared, {agreement.unlabelled} unlabelled pixels "
        "left out",
    ]
    if any(agreement.alone):
        lines.append(
            f"{agreement.alone[0]} files are in the first folder only, {agreement.alone[1]} in the second only"
        )
    return "\n".join(lines)


def write_agreement(agreement: Agreement, out: Path) -> None:
    """Write ``classes.csv``, ``confusion.csv`` (pixels, rows: first folder) and ``images.csv`` (share of equal pixels).

    Raises:
        OSError: A file cannot be written; the message names it.
    """
    out.mkdir(parents=True, exist_ok=True)
    confusion, score, rows = agreement.confusion, agreement.scores, []
    for i, name in enumerate(agreement.classes):
        values = (None if np.isnan(score[key][i]) else round(float(score[key][i]), 6) for key in ("IoU", "F1"))
        rows.append((name, int(confusion[i].sum()), int(confusion[:, i].sum()), int(confusion[i, i]), *values))
    columns = ["class", "first_pixels", "second_pixels", "equal_pixels", "IoU", "F1"]
    write_csv(out / "classes.csv", columns, rows)
    counts = [(name, *row) for name, row in zip(agreement.classes, confusion.tolist(), strict=True)]
    write_csv(out / "confusion.csv", ["", *agreement.classes], counts)
    images = []
    for name, one in zip(agreement.names, agreement.confusions, strict=True):
        pixels, equal = int(one.sum()), int(np.trace(one))
        images.append((name, pixels, equal, round(equal / pixels, 6) if pixels else None))
    write_csv(out / "images.csv", ["image", "pixels", "equal_pixels", "equal_share"], images)


@in_style
def confusion_figure(agreement: Agreement, titles: tuple[str, str]) -> Figure:
    """Draw the confusion matrix, each row in per cent of the first folder's pixels of that class.

    Args:
        agreement: The comparison.
        titles: What the first and the second folder are called.
    """
    counts = agreement.confusion
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = len(agreement.classes)
    scores = f"{100 * agreement.equal:.1f} % of pixels equal, mIoU {100 * float(agreement.scores['mIoU']):.1f}"
    figure, (axis,) = figure_and_axes(2.6 + 0.62 * size, 2.4 + 0.5 * size, f"Confusion in % of each row\n{scores}")
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    axis.grid(False)
    for (row, column), value in np.ndenumerate(shares):
        if counts[row].any():
            colour = "white" if value > 60 else INK
            axis.text(column, row, f"{value:.1f}", ha="center", va="center", color=colour, fontsize=8)
    axis.set_xticks(range(size), agreement.classes, rotation=40, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(size), agreement.classes)
    axis.set_xlabel(titles[1])
    axis.set_ylabel(titles[0])
    return figure
