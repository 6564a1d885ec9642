"""PyCDA: the network's own labels of pixels and of boxes of pixels, where it is sure, and balanced classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["class_balance_loss", "self_label_loss"]

_BOXES = (2, 4, 8)
_EPSILON = 1e-6


def self_label_loss(logits: Tensor, threshold: float = 0.7, boxes: Sequence[int] = _BOXES) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the target's logits and their own largest class, of pixels and of boxes that are sure.

    Args:
        logits: (N, C, H, W) of the target at full size.
        threshold: A pixel or box counts where its largest probability is above this.
        boxes: Sides of the boxes, in whose cells logits are averaged; incomplete cells at the end are left out.

    Returns:
        The mean over all pixels and boxes that count, 0 where there are none, and their number.  As in the release
        those whose loss is exactly 0 do not count.

    Source: Lian et al., "PyCDA", 2019, section 3.2; LoveDA's release.
    """
    logits = logits.float()
    losses = []
    for side in (1, *boxes):
        pooled = functional.avg_pool2d(logits, side) if side > 1 else logits
        log_probabilities, labels = pooled.log_softmax(1).max(1)
        sure = pooled.softmax(1).gather(1, labels[:, None])[:, 0] > threshold
        losses.append((-log_probabilities * sure).flatten())
    every = torch.cat(losses)
    count = (every != 0).sum()
    return every.sum() / count.clamp(min=1), count


def class_balance_loss(logits: Tensor, prior: Tensor, release_defects: bool = False) -> Tensor:
    """Binary cross-entropy of the classes' mean probabilities and what their shares should be, mean over classes.

    Args:
        logits: (N, C, H, W) of the target at full size.
        prior: (C,) shares of the classes, for example those of the source.
        release_defects: As in LoveDA's release, where the prior is a column and each of its rows meets each class, so
            that only its mean has an effect: 1 / C for every class, if its sum is 1.
    """
    mean = logits.float().softmax(1).mean((0, 2, 3))
    prior = prior.to(mean)
    if release_defects:
        prior = prior[:, None]
    return -(prior * (mean + _EPSILON).log() + (1 - prior) * (1 - mean + _EPSILON).log()).mean()
