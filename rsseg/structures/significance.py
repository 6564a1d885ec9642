"""Whether two methods differ on the same images: paired tests, by SciPy where it has them.

Images are the units: pixels of one image depend on each other, and a test that counted them as units would find almost
everything significant.  Several trainings with other seeds are another question, which standard deviations answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bootstrap", "holm", "mcnemar", "paired_bootstrap", "wilcoxon"]

_CHUNK = 500

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bootstrap:
    """A difference of two scores over resampled images.

    Attributes:
        difference: Second minus first, of all images.
        low: Lower end of the interval that holds 95 % of the resampled differences.
        high: Upper end.
        p: Two-sided: twice the share of resampled differences on the other side of 0, at least 2 / (trials + 1).
    """

    difference: float
    low: float
    high: float
    p: float


def paired_bootstrap(
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    score: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    trials: int = 2000,
    seed: int = 0,
) -> Bootstrap:
    """Resample images with replacement, the same ones for both methods.

    Args:
        first: (N, ...) what is summed over images, for example class counts (N, C, 3), of one method.
        second: The same images of the other.
        score: Sums (T, ...) -> scores (T,).
        trials: Resamplings T.
        seed: Of the resampling.

    Raises:
        ValueError: There are no images, or not the same number of both.

    Source: the percentile bootstrap (Efron and Tibshirani 1993); SciPy's resamples means, not scores of sums.
    """
    if len(first) != len(second) or not len(first):
        raise ValueError(f"{len(first)} and {len(second)} images; expected the same number, at least one")
    count, rng, found = len(first), np.random.default_rng(seed), []
    flat = [np.asarray(values, np.float64).reshape(count, -1) for values in (first, second)]
    shapes = [np.shape(values)[1:] for values in (first, second)]

    def difference(weights: Floats) -> Floats:
        one, other = (
            np.asarray(score((weights @ values).reshape(len(weights), *shape)), np.float64)
            for values, shape in zip(flat, shapes, strict=True)
        )
        return other - one

    for start in range(0, trials, _CHUNK):
        weights = rng.multinomial(count, np.full(count, 1 / count), min(_CHUNK, trials - start))
        found.append(difference(weights.astype(np.float64)))
    values = np.concatenate(found)
    values = values[~np.isnan(values)]  # draws without any scored class
    low, high = np.quantile(values, [0.025, 0.975]) if len(values) else (np.nan, np.nan)
    one_side = (1 + min(int((values <= 0).sum()), int((values >= 0).sum()))) / (len(values) + 1)
    return Bootstrap(float(difference(np.ones((1, count)))[0]), float(low), float(high), min(1.0, 2 * one_side))


def wilcoxon(first: Floats, second: Floats) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test of scores of the same images.

    Args:
        first: (N,) scores; NaN where an image has none, which leaves the image out.
        second: (N,) likewise.

    Returns:
        1 where no image differs.
    """
    from scipy.stats import wilcoxon as signed_rank

    gap = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    gap = gap[~np.isnan(gap)]
    return float(signed_rank(gap).pvalue) if np.any(gap != 0) else 1.0


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Two-sided p-value of McNemar's exact test: do both decide the same number of cases right?

    Args:
        first: (N,) whether each case is right.
        second: (N,) the same cases.

    Returns:
        1 where no case differs.

    Source: McNemar 1947; the exact form is a binomial test of the cases that one of both has right.
    """
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    return float(binomtest(only_first, only_first + only_second).pvalue) if only_first + only_second else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of several tests, corrected so that all of them together err with the probability of one.

    Args:
        p_values: Of the single tests.

    Returns:
        As many, in the same order, at most 1.

    Source: Holm 1979.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    out = np.empty_like(values)
    out[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return [float(value) for value in out]
