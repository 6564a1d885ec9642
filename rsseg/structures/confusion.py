"""Confusion matrices and the scores that follow from them, in exact int64 counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["confusion_matrix", "scores"]

_BYTE = 256
_CHUNK = 1 << 19


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
    pred, target = pred.reshape(-1), target.reshape(-1)
    table = _count_bytes(pred, target) if num_classes <= _BYTE else None
    if table is None:
        return _count_any(pred, target, num_classes, ignore_index)
    if 0 <= ignore_index < _BYTE:
        table[ignore_index] = 0
    out_of_range = torch.arange(_BYTE) >= num_classes
    _check("target", torch.nonzero(table.sum(1) * out_of_range).flatten().tolist(), num_classes, ignore_index)
    _check("prediction", torch.nonzero(table.sum(0) * out_of_range).flatten().tolist(), num_classes, ignore_index)
    return table[:num_classes, :num_classes].clone()


def _count_bytes(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor | None:
    """(256, 256) int64 counts, on the CPU, of pairs in 0..255; None where a value lies outside.

    Goes in chunks that stay in the processor's cache.
    """
    table = torch.zeros(_BYTE**2, dtype=torch.int64)
    for guess, truth in zip(pred.split(_CHUNK), target.split(_CHUNK), strict=True):
        if not (_fits_byte(guess) and _fits_byte(truth)):
            return None
        # by way of bytes: the next steps then move an eighth of the memory
        pairs = truth.to(torch.uint8).to(torch.int32).mul_(_BYTE).add_(guess.to(torch.uint8))
        table += torch.bincount(pairs, minlength=_BYTE**2).cpu()
    return table.reshape(_BYTE, _BYTE)


def _fits_byte(values: torch.Tensor) -> bool:
    if values.dtype == torch.uint8 or not values.numel():
        return True
    low, high = torch.aminmax(values)
    return int(low) >= 0 and int(high) < _BYTE


def _count_any(pred: torch.Tensor, target: torch.Tensor, num_classes: int, ignore_index: int) -> torch.Tensor:
    """Counts of pixels with any integers as values, or with more than 256 classes; slower."""
    valid = target != ignore_index
    pred, target = pred[valid], target[valid]
    for name, values in (("target", target), ("prediction", pred)):
        _check(name, values[(values < 0) | (values >= num_classes)].tolist(), num_classes, ignore_index)
    counts = torch.bincount(target.long() * num_classes + pred.long(), minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).cpu()


def _check(name: str, wrong: list[int], num_classes: int, ignore_index: int) -> None:
    if wrong:
        allowed = f"0..{num_classes - 1} and ignore {ignore_index}"
        raise ValueError(f"{name} holds the value {wrong[0]}; allowed are {allowed}")


def scores(
    confusion: NDArray[np.int64], unscored: Sequence[int] = (), only_true: bool = False
) -> dict[str, NDArray[np.float64]]:
    """Per-class and overall scores of a confusion matrix.

    Args:
        confusion: (C, C) int64, rows true, columns predicted.
        unscored: Classes that the means and ``OA`` leave out; a pixel of another class that is predicted as one of them
            is still wrong.
        only_true: Means leave out classes without true pixels, also where they are predicted.

    Returns:
        ``IoU``, ``F1``, ``Acc`` (recall): (C,) float64 in 0..1, NaN where a class has neither true nor predicted pixels
        (for ``Acc``: no true pixels).  ``OA``, ``mIoU``, ``mF1``, ``mAcc``: 0-d arrays; means leave NaN classes out.

    Source: the definitions; unscored classes as in the SAMRS release, which scores iSAID over classes 1..15;
    ``only_true`` as in detectron2's evaluator, by which the GSNet paper's tables were made.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    hit, true, guessed = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    counted = np.ones(len(counts), bool)
    counted[list(unscored)] = False
    if only_true:
        counted &= true > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        out = {
            "IoU": hit / (true + guessed - hit),
            "F1": 2 * hit / (true + guessed),
            "Acc": hit / true,
            "OA": np.asarray(hit[counted].sum() / true[counted].sum()),
        }
    for mean, per_class in (("mIoU", "IoU"), ("mF1", "F1"), ("mAcc", "Acc")):
        known = out[per_class][counted & ~np.isnan(out[per_class])]
        out[mean] = np.asarray(known.mean() if known.size else np.nan)
    return out
