"""Rank correlation against SciPy, and the means of a validation."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from rsseg.evaluation.box_masks import BoxMaskMetric, rank_correlation


def test_rank_correlation_is_spearmans() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 12, 60)  # with ties
    b = a + rng.normal(0, 3, 60)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert rank_correlation([1, 2, 3], [1, 8, 9]) == pytest.approx(1)
    assert np.isnan(rank_correlation([1], [2])) and np.isnan(rank_correlation([1, 1], [2, 3]))


def test_means_of_a_validation() -> None:
    metric = BoxMaskMetric()
    rows = [("ship", 0.9, 0.8), ("ship", 0.7, 0.6), ("tank", 0.5, 0.1)]
    metric.process(None, [dict(label=label, score=score, iou=iou) for label, score, iou in rows])
    assert metric.evaluate(3) == {"mIOU_I": 50.0, "rank_correlation": 1.0}
    assert metric.pairs == [(0.9, 0.8), (0.7, 0.6), (0.5, 0.1)]
