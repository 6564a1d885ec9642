"""How good a mask probably is: expected overlap from the probabilities, and its calibration on masks never trained on.

NumPy and torch only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rsseg.errors import DataError

__all__ = [
    "BOX_MASK_FORMAT",
    "LEAST_MASKS",
    "calibrate",
    "check_held_out",
    "expected_iou",
    "fit_calibration",
    "stability",
]

BOX_MASK_FORMAT = 1
"""Version of the file of a trained network."""
LEAST_MASKS = 30
"""Masks below which no calibration is fitted."""
_BINS = 12
_STABILITY = 1.0
"""Logits by which the threshold is moved."""


def expected_iou(logits: Tensor, inside: Tensor) -> Tensor:
    """Overlap with the mask that the probabilities expect, if pixels were independent.

    Args:
        logits: (B, 1, S, S).
        inside: (B, 1, S, S) bool, the box.

    Returns:
        (B,) float32 in 0..1: expected pixels of the object in the mask, by the mask and expected pixels outside it.
    """
    probability = logits.sigmoid() * inside
    mask = (logits > 0) & inside
    common = (probability * mask).sum((1, 2, 3))
    union = mask.sum((1, 2, 3)) + (probability * ~mask).sum((1, 2, 3))
    return (common / union.clamp_min(1.0)).float()


def stability(logits: Tensor, inside: Tensor) -> Tensor:
    """Overlap of the masks at a threshold one logit higher and one lower: (B,) float32, 0 where both are empty."""
    inner = ((logits > _STABILITY) & inside).sum((1, 2, 3))
    outer = ((logits > -_STABILITY) & inside).sum((1, 2, 3))
    return inner / outer.clamp_min(1)


def check_held_out(count: int) -> None:
    """See that a calibration can be fitted to this many masks.

    Raises:
        DataError: There are fewer than ``LEAST_MASKS``.
    """
    if count < LEAST_MASKS:
        raise DataError(
            f"the score is calibrated on masks that are held out of the training, at least {LEAST_MASKS}, and there "
            f"are {count}; raise the share held_out, or add images with masks"
        )


def fit_calibration(scores: ArrayLike, ious: ArrayLike) -> tuple[list[float], list[float]]:
    """A rising curve from scores to overlaps: means of equally large groups, made to rise, straight in between.

    Args:
        scores: (N,) expected overlaps of masks that the network was not trained on.
        ious: (N,) their true overlaps.

    Returns:
        Scores and overlaps of the curve's corners, from 0 to 1.

    Raises:
        DataError: There are fewer than ``LEAST_MASKS`` masks.
    """
    given, true = np.asarray(scores, np.float64), np.asarray(ious, np.float64)
    check_held_out(len(given))
    groups = np.array_split(np.argsort(given, kind="stable"), min(_BINS, len(given) // (LEAST_MASKS // 3)))
    x = np.array([given[rows].mean() for rows in groups])
    y = _rising(np.array([true[rows].mean() for rows in groups]))
    x, y = np.concatenate([[0.0], x, [1.0]]), np.concatenate([[0.0], y, [max(y[-1], true[groups[-1]].max())]])
    return [round(float(v), 6) for v in x], [round(float(v), 6) for v in y]


def _rising(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest values that never fall: neighbours that do are replaced by their mean (pool adjacent violators)."""
    pools: list[list[float]] = []
    for value in values:
        pools.append([float(value), 1.0])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            (a, m), (b, n) = pools[-2:]
            pools[-2:] = [[(a * m + b * n) / (m + n), m + n]]
    return np.concatenate([np.full(int(count), mean) for mean, count in pools])


def calibrate(scores: ArrayLike, curve: tuple[ArrayLike, ArrayLike]) -> NDArray[np.float64]:
    """Scores (N,) on the curve of :func:`fit_calibration`."""
    x, y = (np.asarray(values, np.float64) for values in curve)
    return np.asarray(np.interp(np.asarray(scores, np.float64), x, y), np.float64)
