"""FasterSeg's arithmetic in training: hard pixels, distillation, and the choice of widths."""

from __future__ import annotations

import torch
from torch.nn import functional

__all__ = ["distillation_loss", "gumbel_choice", "gumbel_noise", "ohem_loss", "ohem_target"]

_EPS = 1e-20


def ohem_target(
    logits: torch.Tensor, target: torch.Tensor, kept: int, threshold: float = 0.7, ignore_index: int = 255
) -> torch.Tensor:
    """Labels of the pixels that are hard; all others become ``ignore_index``.

    A pixel stays where the probability of its own class is at most ``threshold``, or at most the ``kept``-th smallest
    one where that is larger.  With fewer than ``kept`` labelled pixels all stay.

    Args:
        logits: (N, C, H, W).
        target: (N, H, W) int64.
        kept: How many pixels stay at least.
        threshold: See above.
        ignore_index: Pixels without a label; in the ranking they come last.

    Source: the criterion of FasterSeg's release.
    """
    labelled = target != ignore_index
    if kept > int(labelled.sum()):
        return target
    own = logits.detach().float().softmax(1).gather(1, target.where(labelled, 0)[:, None])[:, 0]
    own = own.where(labelled, 1.0)
    limit = threshold
    if kept > 0:
        limit = max(threshold, own.flatten().kthvalue(min(kept, own.numel())).values.item())
    return target.where(labelled & (own <= limit), ignore_index)


def ohem_loss(
    logits: torch.Tensor, target: torch.Tensor, kept: int, threshold: float = 0.7, ignore_index: int = 255
) -> torch.Tensor:
    """Mean cross-entropy over the pixels of :func:`ohem_target`; 0 where there are none."""
    hard = ohem_target(logits, target, kept, threshold, ignore_index)
    total = functional.cross_entropy(logits.float(), hard, ignore_index=ignore_index, reduction="sum")
    return total / (hard != ignore_index).sum().clamp(min=1)


def distillation_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of the teacher's from the student's classes, the mean over **all numbers** (N C H W).

    The release divides by classes and pixels as well as by images, and takes the logarithm of a softmax, which can be
    minus infinity; here it is log_softmax.
    """
    return functional.kl_div(student.float().log_softmax(1), teacher.float().softmax(1), reduction="mean")


def gumbel_noise(count: int, like: torch.Tensor) -> torch.Tensor:
    """``count`` numbers of the Gumbel distribution."""
    uniform = torch.rand(count, device=like.device, dtype=like.dtype)
    return -(-(uniform + _EPS).log() + _EPS).log()


def gumbel_choice(ratios: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """One-hot choice whose gradient is that of the softmax (straight-through, temperature 1).

    Args:
        ratios: (widths,) parameters.
        noise: (widths,) of the Gumbel distribution.

    Returns:
        (widths,): exactly 1 at argmax(log_softmax(ratios) + noise), else 0.
    """
    soft = (ratios.log_softmax(-1) + noise).softmax(-1)
    hard = functional.one_hot(soft.argmax(-1), soft.shape[-1]).to(soft.dtype)
    return hard + (soft - soft.detach())
