"""Confusion matrices and the scores that follow from them, in exact int64 counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

__all__ = ["cohen_kappa", "confusion_matrix", "count_scores", "nominal_alpha", "scores"]

_BYTE = 256
_CHUNK = 1 << 19
_Array = TypeVar("_Array", "NDArray[Any]", "torch.Tensor")


def confusion_matrix(pred: _Array, target: _Array, num_classes: int, ignore_index: int = 255) -> _Array:
    """Count pixels by (true class, predicted class).

    Args:
        pred: (...) integer array or tensor of predicted class ids, 0..num_classes-1 wherever ``target`` counts.
        target: (...) integer true class ids or ``ignore_index``, of the same kind and shape, on the same device.
        num_classes: Number of classes C.
        ignore_index: Value of ``target`` whose pixels do not count; any integer, ``num_classes`` included.

    Returns:
        (C, C) int64, rows true, columns predicted: an array for arrays, a tensor on the CPU for tensors.

    Raises:
        ValueError: Shapes differ, or a counted pixel holds a value outside 0..num_classes-1.

    Source: the definition; ignored pixels are dropped before counting, unlike the SAMRS release's histogram, whose
    closed last bin turns them into correct pixels of the last class.
    """
    if pred.shape != target.shape:
        raise ValueError(
            f"prediction and target must have the same shape, got {tuple(pred.shape)} and {tuple(target.shape)}"
        )
    pred, target = pred.reshape(-1), target.reshape(-1)
    count = _count_array if isinstance(pred, np.ndarray) else _count_tensor
    table = _count_bytes(count, pred, target) if num_classes <= _BYTE else None
    if table is None:
        valid = target != ignore_index
        pred, target = pred[valid], target[valid]
        for name, values in (("target", target), ("prediction", pred)):
            wrong = values[(values < 0) | (values >= num_classes)]
            _check(name, wrong.tolist(), num_classes, ignore_index)
        table = count(pred, target, num_classes)
    else:
        if 0 <= ignore_index < _BYTE:
            table[ignore_index] = 0
        _check("target", _outside(table.sum(1), num_classes), num_classes, ignore_index)
        _check("prediction", _outside(table.sum(0), num_classes), num_classes, ignore_index)
        table = table[:num_classes, :num_classes]
    if isinstance(pred, np.ndarray):
        return table.copy()
    import torch

    return torch.from_numpy(table.copy())


def _count_bytes(count: Any, pred: Any, target: Any) -> NDArray[np.int64] | None:
    """(256, 256) counts of pairs in 0..255; None where a value lies outside.

    Goes in chunks that stay in the processor's cache.
    """
    table = np.zeros((_BYTE, _BYTE), np.int64)
    for start in range(0, len(pred), _CHUNK):
        guess, truth = pred[start : start + _CHUNK], target[start : start + _CHUNK]
        if not (_fits_byte(guess) and _fits_byte(truth)):
            return None
        table += count(guess, truth, _BYTE)
    return table


def _fits_byte(values: Any) -> bool:
    return str(values.dtype).endswith("uint8") or (int(values.min()) >= 0 and int(values.max()) < _BYTE)


def _count_array(pred: NDArray[Any], target: NDArray[Any], size: int) -> NDArray[np.int64]:
    """(size, size) counts of pairs in 0..size-1."""
    pairs = target.astype(np.int64)
    pairs *= size
    np.add(pairs, pred, out=pairs, casting="unsafe")
    return np.bincount(pairs, minlength=size**2).reshape(size, size)


def _count_tensor(pred: torch.Tensor, target: torch.Tensor, size: int) -> NDArray[np.int64]:
    """The same on the tensors' device."""
    import torch

    whole = torch.int32 if size <= _BYTE else torch.int64  # by way of bytes: the next steps then move less memory
    if size == _BYTE:
        pred, target = pred.to(torch.uint8), target.to(torch.uint8)
    pairs = target.to(whole).mul_(size).add_(pred)
    return torch.bincount(pairs, minlength=size**2).cpu().numpy().reshape(size, size)


def _outside(counts: NDArray[np.int64], num_classes: int) -> list[int]:
    return (np.flatnonzero(counts[num_classes:]) + num_classes).tolist()


def _check(name: str, wrong: list[int], num_classes: int, ignore_index: int) -> None:
    if wrong:
        allowed = f"0..{num_classes - 1} and ignore {ignore_index}"
        raise ValueError(f"{name} contains the value {wrong[0]}; allowed: {allowed}")


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
    counts = np.asarray(confusion)
    return count_scores(np.stack([counts.sum(1), counts.sum(0), np.diag(counts)], 1), unscored, only_true)


def count_scores(
    counts: NDArray[Any], unscored: Sequence[int] = (), only_true: bool = False
) -> dict[str, NDArray[np.float64]]:
    """Scores of class counts, which say all of a confusion matrix that scores need; many at once, as resampling needs.

    Args:
        counts: (..., C, 3) of each class: true pixels, predicted pixels, pixels that are both.
        unscored: As for :func:`scores`.
        only_true: As for :func:`scores`.

    Returns:
        As for :func:`scores`: (..., C) float64 for classes, (...) for means and ``OA``.
    """
    true, guessed, hit = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    counted = np.ones(true.shape, bool)
    counted[..., list(unscored)] = False
    if only_true:
        counted &= true > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        out = {
            "IoU": hit / (true + guessed - hit),
            "F1": 2 * hit / (true + guessed),
            "Acc": hit / true,
            "OA": np.asarray((hit * counted).sum(-1) / (true * counted).sum(-1)),
        }
        for mean, per_class in (("mIoU", "IoU"), ("mF1", "F1"), ("mAcc", "Acc")):
            known = counted & ~np.isnan(out[per_class])
            out[mean] = np.asarray(np.where(known, out[per_class], 0.0).sum(-1) / known.sum(-1))
    return out


def cohen_kappa(confusion: NDArray[np.int64]) -> float:
    """Agreement of two beyond what labels with these class shares reach by chance; 1 where there is only one class.

    Args:
        confusion: (C, C) counts by the class that the first and the second one gave.

    Source: Cohen 1960.
    """
    total = max(int(confusion.sum()), 1)
    chance = sum(one * other for one, other in zip(confusion.sum(0).tolist(), confusion.sum(1).tolist(), strict=True))
    return (int(np.trace(confusion)) * total - chance) / (total**2 - chance) if chance < total**2 else 1.0


def nominal_alpha(counts: NDArray[np.int64]) -> float:
    """Krippendorff's alpha of any number of raters who need not all have rated everything; 1 where all gave one class.

    Args:
        counts: (N, C) how many raters gave each of N items each of C classes; items with one rating do not count.

    Source: Krippendorff 2011, Computing Krippendorff's alpha-reliability, section C (nominal data).
    """
    rated = counts.sum(1)
    kept, rated = counts[rated > 1], rated[rated > 1]
    total, classes = int(rated.sum()), kept.sum(0)
    observed = float(((rated**2 - (kept**2).sum(1)) / (rated - 1)).sum()) if total else 0.0
    expected = float(total**2 - (classes**2).sum()) / max(total - 1, 1)
    return 1 - observed / expected if expected else 1.0
