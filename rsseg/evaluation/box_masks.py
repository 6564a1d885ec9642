"""How well masks from boxes fit: mean overlap of the instances, and how well the expected overlap ranks them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmseg.registry import METRICS
from numpy.typing import ArrayLike

from rsseg.io.tables import aligned

__all__ = ["BoxMaskMetric", "rank_correlation"]


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation of two series of N values, equal values at the mean of their ranks; NaN below 2."""
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if len(first) < 2:
        return float("nan")
    ranks = [_ranks(values) for values in (first, second)]
    if any(values.std() == 0 for values in ranks):
        return float("nan")
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[places], np.float64)


@METRICS.register_module()
class BoxMaskMetric(BaseMetric):
    """mIOU_I of :class:`~rsseg.models.boxmask.BoxMaskModel`, in percent, and the rank correlation of its score.

    Attributes:
        pairs: (score, overlap) of each object of the last validation.

    Source: SAMRS paper, eq. 1, for mIOU_I; here at the pixels of the crop.
    """

    default_prefix = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pairs: list[tuple[float, float]] = []

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep overlap, score and label of each object."""
        self.results += [(row["label"], row["score"], row["iou"]) for row in data_samples]

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Means over all objects and, in the log, over those of each class."""
        self.pairs = [(score, iou) for _, score, iou in results]
        labels = np.array([label for label, _, _ in results])
        scores, ious = np.array(self.pairs).T
        lines = [("class", "objects", "mIOU_I")]
        for name in [*np.unique(labels), "all"]:
            rows = np.ones(len(ious), bool) if name == "all" else labels == name
            lines.append((str(name), str(int(rows.sum())), f"{100 * ious[rows].mean():.2f}"))
        MMLogger.get_current_instance().info("held-out masks, at the pixels of the crop\n" + aligned(lines))
        found = {"mIOU_I": round(100 * float(ious.mean()), 2), "rank_correlation": rank_correlation(scores, ious)}
        return {name: round(value, 4) for name, value in found.items()}
