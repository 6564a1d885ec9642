"""IAST: pseudo labels by thresholds per class that move from image to image, and losses on the rest."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["START", "entropy_loss", "image_groups", "kept_divergence", "pseudo_labels", "update_thresholds"]

START = 0.9
"""Threshold of every class at the start of each round."""
_IGNORED = 255
_HIGHEST = 0.999


def image_groups(count: int, release_defects: bool = False) -> list[range]:
    """The images whose thresholds are found together: each alone.

    Args:
        count: Number of target images.
        release_defects: In pairs, without the last one of an odd number, as in LoveDA's release.
    """
    size = 2 if release_defects else 1
    return [range(i, i + size) for i in range(0, count - size + 1, size)]


@torch.no_grad()
def update_thresholds(
    thresholds: Tensor, confidence: Tensor, labels: Tensor, alpha: float = 0.2, beta: float = 0.9, gamma: float = 8.0
) -> Tensor:
    """Thresholds for one image, which are those to start the next from.

    For each class t is the percentile 100 * (1 - alpha * threshold ** gamma), linear between values, of the threshold
    and the image's confidences (float16) of that class; the new threshold is beta * threshold + (1 - beta) * t.

    Args:
        thresholds: (C,) float64, :data:`START` for the first image.
        confidence: (..., H, W) largest probabilities.
        labels: (..., H, W) int64, the classes that have them.
        alpha: See above.
        beta: See above.
        gamma: See above.

    Returns:
        (C,) float64; values of 1 and more become 0.999, and a class that no pixel has keeps its threshold.

    Source: Mei et al., "IAST", 2020, equations 3 and 4; LoveDA's release.
    """
    old = thresholds.double().cpu().numpy()
    values, owners = confidence.half().flatten().cpu().numpy(), labels.flatten().cpu().numpy()
    found = np.empty(len(old), np.float32)
    for c, threshold in enumerate(old):
        own = np.append(values[owners == c].astype(np.float64), threshold)
        found[c] = np.percentile(own, 100 * (1 - alpha * threshold**gamma))
    new = beta * old + (1 - beta) * found
    return torch.from_numpy(np.where(new >= 1, _HIGHEST, new))


def pseudo_labels(confidence: Tensor, labels: Tensor, thresholds: Tensor) -> Tensor:
    """Labels (N, H, W) where the confidence is at least the threshold of their class, 255 elsewhere.

    Args:
        confidence: (N, H, W) largest probabilities.
        labels: (N, H, W) int64, the classes that have them.
        thresholds: (C,), already updated by this image.
    """
    return labels.where(confidence.double() >= thresholds.to(confidence.device)[labels], _IGNORED)


def entropy_loss(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Entropy of the pixels without a pseudo label: sum / (C * their number).

    Args:
        logits: (N, C, H, W) of the target.
        labels: (N, H, W) pseudo labels, 255 where there is none.

    Returns:
        The loss, 0 where every pixel has a label, and the number of pixels without.

    Source: Mei et al. 2020, equation 8; the 1 / C is LoveDA's release's.
    """
    log_probabilities = logits.float().log_softmax(1)
    entropy = -(log_probabilities.exp() * log_probabilities).sum(1)
    return _mean_over(entropy, labels == _IGNORED, logits.shape[1])


def kept_divergence(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over classes of -log p of the pixels with a pseudo label: sum / (C * their number).

    Args:
        logits: (N, C, H, W) of the target.
        labels: (N, H, W) pseudo labels, 255 where there is none.

    Returns:
        The loss, 0 where no pixel has a label, and the number of pixels with one.

    Source: Mei et al. 2020, equation 7, the divergence from equal probabilities without its constant; the 1 / C is
    LoveDA's release's.
    """
    return _mean_over(-logits.float().log_softmax(1).mean(1), labels != _IGNORED, logits.shape[1])


def _mean_over(values: Tensor, mask: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    count = mask.sum()
    return (values * mask).sum() / (classes * count.clamp(min=1)), count
