"""Confusion matrices and the scores that follow from them, in exact int64 counts."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["confusion_matrix", "scores"]


def confusion_matrix(
    pred: torch.Tensor, target: torch.Tensor, num_classes: int, ignore_index: int = 255
) -> torch.Tensor:
    """Count pixels by (true class, predicted class).

    Args:
        pred: (...) integer tensor of predicted class ids, 0..num_classes-1 wherever ``target`` counts.
        target: (...) integer tensor of true class ids or ``ignore_index``, same shape and device.
        num_classes: Number of classes C.
        ignore_index: Value of ``target`` whose pixels do not count; any integer, ``num_classes`` included.

    Returns:
        (C, C) int64 tensor on the CPU, rows true, columns predicted.

    Raises:
        ValueError: Shapes differ, or a counted pixel holds a value outside 0..num_classes-1.

    Source: the definition; ignored pixels are dropped before counting, unlike the SAMRS release's histogram, whose
    closed last bin turns them into correct pixels of the last class.
    """
    if pred.shape != target.shape:
        raise ValueError(f"prediction {tuple(pred.shape)} and target {tuple(target.shape)} differ in shape")
    valid = target != ignore_index
    truth, guess = target[valid].long(), pred[valid].long()
    for name, values in (("target", truth), ("prediction", guess)):
        if values.numel() and (int(values.min()) < 0 or int(values.max()) >= num_classes):
            wrong = values[(values < 0) | (values >= num_classes)][0]
            raise ValueError(
                f"{name} holds the value {int(wrong)}; allowed are 0..{num_classes - 1} and ignore {ignore_index}"
            )
    counts = torch.bincount(truth * num_classes + guess, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).cpu()


def scores(confusion: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Per-class and overall scores of a confusion matrix.

    Args:
        confusion: (C, C) int64, rows true, columns predicted.

    Returns:
        ``IoU``, ``F1``, ``Acc`` (recall): (C,) float64 in 0..1, NaN where a class has neither true nor predicted pixels
        (for ``Acc``: no true pixels).  ``OA``, ``mIoU``, ``mF1``, ``mAcc``: 0-d arrays; means leave NaN classes out.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    hit, true, guessed = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        out = {
            "IoU": hit / (true + guessed - hit),
            "F1": 2 * hit / (true + guessed),
            "Acc": hit / true,
            "OA": np.asarray(hit.sum() / counts.sum()),
        }
    for mean, per_class in (("mIoU", "IoU"), ("mF1", "F1"), ("mAcc", "Acc")):
        known = out[per_class][~np.isnan(out[per_class])]
        out[mean] = np.asarray(known.mean() if known.size else np.nan)
    return out
