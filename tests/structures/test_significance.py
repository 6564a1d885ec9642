"""Paired tests, by hand and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2
from scipy.stats import wilcoxon as scipy_wilcoxon

from rsseg.structures.confusion import confusion_matrix, count_scores, scores
from rsseg.structures.significance import mcnemar, paired_bootstrap, wilcoxon


def test_mcnemar_by_hand() -> None:
    first = np.array([True] * 6 + [False] * 4)
    second = np.array([True] * 5 + [False] + [True] * 4)
    # one only the first has right, four only the second: 2 (C(5,0) + C(5,1)) / 2^5
    assert mcnemar(first, second) == pytest.approx(2 * 6 / 32)
    assert mcnemar(first, first) == 1.0
    many, others = np.arange(4000) < 2100, np.arange(4000) >= 2050
    only = np.array([(many & ~others).sum(), (others & ~many).sum()])
    approximate = chi2.sf((abs(int(only[0]) - int(only[1])) - 1) ** 2 / only.sum(), 1)
    assert mcnemar(many, others) == pytest.approx(approximate, rel=0.05)


def test_wilcoxon_leaves_images_without_a_score_out() -> None:
    first, second = np.array([1.0, 2, 3, np.nan, 5]), np.array([2.0, 4, 6, 9, 4])
    assert wilcoxon(first, second) == scipy_wilcoxon([1.0, 2, 3, -1]).pvalue
    assert wilcoxon(first, first) == 1.0


def test_bootstrap_of_equal_methods_and_of_a_clear_difference():
    rng = np.random.default_rng(0)
    first = rng.normal(50, 1, 40)
    mean = lambda sums: sums[..., 0] / sums[..., 1]  # noqa: E731
    pairs = [np.stack([values, np.ones(40)], 1) for values in (first, first + 5 + rng.normal(0, 0.1, 40))]
    found = paired_bootstrap(*pairs, mean, trials=999)
    assert found.difference == pytest.approx(pairs[1][:, 0].mean() - first.mean())
    assert found.low < found.difference < found.high and found.high - found.low < 0.2
    assert found.p == pytest.approx(2 / 1000)
    same = paired_bootstrap(pairs[0], pairs[0], mean, trials=99)
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)
    with pytest.raises(ValueError, match="40 and 39 images"):
        paired_bootstrap(pairs[0], pairs[1][1:], mean)


def test_scores_of_counts_are_those_of_confusion_matrices() -> None:
    rng = np.random.default_rng(1)
    matrices = [confusion_matrix(rng.integers(0, 5, 300), rng.integers(0, 4, 300), 6) for _ in range(3)]
    counts = np.stack([np.stack([m.sum(1), m.sum(0), np.diag(m)], 1) for m in matrices])
    for only_true in (False, True):
        found = count_scores(counts, (1,), only_true)
        for i, matrix in enumerate(matrices):
            for key, value in scores(matrix, (1,), only_true).items():
                np.testing.assert_array_equal(found[key][i], value)
