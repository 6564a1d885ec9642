"""Two models of labels on the same images: p-values of every score, and of every class.

Source: BigEarthNet paper, section 4, which says that all improvements are significant (p well below 0.0001) and not by
which test.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rsseg.evaluation.label_predictions import LabelPredictions
from rsseg.io.tables import write_csv
from rsseg.structures.significance import holm, mcnemar, paired_bootstrap, wilcoxon

__all__ = ["compare_classes", "compare_scores", "write_significance"]

_log = logging.getLogger("rsseg")
_FEWEST = 6
_SCORES = ["first", "second", "score", "first_value", "second_value", "difference", "low", "high", "p_bootstrap",
           "p_wilcoxon"]  # fmt: skip
_CLASSES = ["first", "second", "class", "images", "only_first_right", "only_second_right", "p_mcnemar", "p_holm"]


def compare_scores(first: LabelPredictions, second: LabelPredictions) -> list[dict[str, Any]]:
    """Precision, recall, F1 and F2 in percent, averaged over images: difference and p-values.

    Args:
        first: The model that is subtracted.
        second: The other, with the same images.

    Returns:
        For each score ``score``, ``first_value``, ``second_value``, ``difference``, ``low`` and ``high`` (95 % of
        resampled differences), ``p_bootstrap`` and ``p_wilcoxon``.
    """
    one, other = first.scores(), second.scores()
    parts, rows = (one.parts(), other.parts()), []
    for score in one.scores:
        found = paired_bootstrap(*parts, lambda totals, score=score: one.score(score, totals))  # type: ignore[misc]
        values = [float(one.score(score, own.sum(0))) for own in parts]
        p = wilcoxon(one.of_images(score), other.of_images(score))
        ends = {"difference": found.difference, "low": found.low, "high": found.high}
        row = {"first_value": values[0], "second_value": values[1], **ends, "p_bootstrap": found.p, "p_wilcoxon": p}
        rows.append({"score": score, **row})
    return rows


def compare_classes(first: LabelPredictions, second: LabelPredictions) -> list[dict[str, Any]]:
    """McNemar's exact test of each class: is its label decided right in the same number of images?

    Args:
        first: One model.
        second: The other, with the same images.

    Returns:
        For each class ``class``, ``images`` that have it, ``only_first_right``, ``only_second_right``, ``p_mcnemar``
        and ``p_holm``, which is corrected for the number of classes; the last row, "all labels", counts all classes
        together and has none.
    """
    right = [own.truth == own.predicted for own in (first, second)]
    names = [*first.classes, "all labels"]
    columns = [[own[:, i] for own in right] for i in range(len(first.classes))] + [[own.ravel() for own in right]]
    tested = [mcnemar(*pair) for pair in columns]
    corrected: list[float | None] = [*holm(tested[:-1]), None]
    images = [*first.truth.sum(0).tolist(), len(first.names)]
    rows = zip(names, images, columns, tested, corrected, strict=True)
    return [
        {"class": name, "images": count, "only_first_right": int(np.sum(a & ~b)),
         "only_second_right": int(np.sum(b & ~a)), "p_mcnemar": p, "p_holm": more}
        for name, count, (a, b), p, more in rows
    ]  # fmt: skip


def write_significance(models: Mapping[str, LabelPredictions], out: Path) -> list[dict[str, Any]]:
    """Compare each model with the one before it: ``p_values.csv`` of the scores and ``p_values_classes.csv``.

    Args:
        models: By name, all with the same images; the paper's order is Inception-v2, S-CNN-RGB, S-CNN-All.
        out: Folder, which exists.

    Returns:
        The rows of the scores; none, and no file, of one model or of fewer than six images (with five, Wilcoxon's
        smallest p-value is 0.0625).
    """
    count = len(next(iter(models.values())).names)
    if count < _FEWEST or len(models) < 2:
        _log.warning("%d models and %d common images: p-values need two models and six images", len(models), count)
        return []
    scores, classes = [], []
    for (one, first), (other, second) in pairwise(models.items()):
        pair = {"first": one, "second": other}
        scores += [{**pair, **row} for row in compare_scores(first, second)]
        classes += [{**pair, **row} for row in compare_classes(first, second)]
    for name, columns, rows in (("p_values", _SCORES, scores), ("p_values_classes", _CLASSES, classes)):
        write_csv(out / f"{name}.csv", columns, [[_cell(row[key]) for key in columns] for row in rows])
    return scores


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
