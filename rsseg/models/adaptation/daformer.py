"""DAFormer: a moving-average teacher labels the target, and the student learns from mixed images.

The arithmetic of one iteration; :mod:`rsseg.models.adaptation.strong` changes the mixed images' colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rsseg.errors import ConfigError

__all__ = [
    "class_mix_masks",
    "ema_factor",
    "feature_distance",
    "majority_labels",
    "mean_cross_entropy",
    "mix",
    "pixel_weights",
    "pseudo_labels",
]

_IGNORED = 255


def ema_factor(iteration: int, largest: float = 0.999) -> float:
    """How much of the teacher stays before iteration t: min(1 - 1 / (t + 1), largest); 0 at t = 0 copies the student.

    Args:
        iteration: t, from 0.
        largest: Reached at t = 999 for 0.999.

    Source: Hoyer et al., "DAFormer", 2022, equation 4, and its release.  Parameters move, buffers do not:
    :func:`rsseg.models.dino_pretraining.update_average`.
    """
    return min(1 - 1 / (iteration + 1), largest)


def mean_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy, mean over all pixels: those with label 255 add 0 and are counted.

    Args:
        logits: (N, C, H, W).
        labels: (N, H, W) int64 class ids or 255.
        weights: (N, H, W) factor of each pixel.
    """
    losses = functional.cross_entropy(logits.float(), labels, ignore_index=_IGNORED, reduction="none")
    return (losses if weights is None else losses * weights).mean()


def pseudo_labels(logits: Tensor, threshold: float = 0.968) -> tuple[Tensor, Tensor]:
    """The teacher's labels, and how sure it is.

    Args:
        logits: (N, C, H, W) of the teacher on the target.
        threshold: See below.

    Returns:
        (N, H, W) int64 labels, and a scalar float32: the share of pixels of the whole batch whose largest probability
        is at least ``threshold``.

    Source: Hoyer et al. 2022, equations 2 and 3.
    """
    confidence, labels = logits.detach().float().softmax(1).max(1)
    return labels, (confidence >= threshold).float().mean()


def pixel_weights(quality: Tensor, shape: Sequence[int], top: int = 0, bottom: int = 0) -> Tensor:
    """Weights (N, H, W) of the pseudo labels: ``quality``, but 0 in the first and last rows.

    Args:
        quality: Scalar of :func:`pseudo_labels`.
        shape: (N, H, W).
        top: Rows at the top with weight 0 (15 for street scenes).
        bottom: Rows at the bottom with weight 0 (120 for street scenes).
    """
    weights = quality.expand(*shape).clone()
    weights[:, :top] = 0
    weights[:, shape[1] - bottom :] = 0
    return weights


def class_mix_masks(labels: Tensor, rng: Any = np.random, release_defects: bool = False) -> Tensor:
    """Masks of half of the classes of each image, drawn without replacement; 255 counts as a class.

    Args:
        labels: (N, H, W) int64 of the source.
        rng: NumPy's random generator, random state, or its module.
        release_defects: Draw for every image from the classes of the whole batch, as in DAFormer's release, instead of
            from its own: a class that the image lacks makes the mask smaller.

    Returns:
        (N, 1, H, W) bool: ceil(n / 2) of n classes.

    Source: Olsson et al., "ClassMix", 2021.
    """
    masks = []
    for own in labels:
        present = torch.unique(labels if release_defects else own)
        chosen = rng.choice(len(present), (len(present) + 1) // 2, replace=False)
        masks.append(torch.isin(own, present[torch.as_tensor(chosen, device=present.device)]))
    return torch.stack(masks)[:, None]


def mix(masks: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """The source where the mask is, else the target.

    Args:
        masks: (N, 1, H, W) bool.
        source: (N, C, H, W) images, or (N, H, W) labels or weights.
        target: As ``source``.
    """
    return torch.where(masks if source.ndim == 4 else masks[:, 0], source, target)


def majority_labels(labels: Tensor, size: tuple[int, int], classes: int, least_share: float = 0.75) -> Tensor:
    """Labels of the cells of a coarser grid: the most frequent class, 255 where its share is smaller than asked.

    Args:
        labels: (N, H, W) int64 class ids or 255, which is counted as a class of its own.
        size: (h, w) of the grid; cells are squares of H // h pixels.
        classes: C.
        least_share: See above.

    Returns:
        (N, h, w) int64.

    Raises:
        ConfigError: The grid is no even division of the labels.
    """
    side = labels.shape[1] // size[0]
    if side < 1 or labels.shape[2] // size[1] != side:
        raise ConfigError(f"labels of {tuple(labels.shape[1:])} do not divide into square cells on a grid of {size}")
    counted = functional.one_hot(labels.where(labels != _IGNORED, classes), classes + 1).permute(0, 3, 1, 2)
    shares, majority = functional.avg_pool2d(counted.float(), side)[..., : size[0], : size[1]].max(1)
    return majority.where((shares >= least_share) & (majority != classes), _IGNORED)


def feature_distance(
    student: Tensor,
    reference: Tensor,
    labels: Tensor,
    classes: Sequence[int],
    num_classes: int,
    weight: float = 0.005,
    least_share: float = 0.75,
) -> tuple[Tensor, Tensor]:
    """weight * mean distance of the student's features from those it began with, where some classes are.

    Args:
        student: (N, D, h, w) features of source images.
        reference: (N, D, h, w) of the frozen encoder; it gets no gradient.
        labels: (N, H, W) int64 of the source.
        classes: Where the distance counts: in cells of these classes by :func:`majority_labels`.
        num_classes: C.
        weight: Factor.
        least_share: See :func:`majority_labels`.

    Returns:
        The loss, 0 where no cell counts, and the number of cells.

    Source: Hoyer et al. 2022, equations 6 to 9.
    """
    cells = majority_labels(labels, (student.shape[2], student.shape[3]), num_classes, least_share)
    mask = torch.isin(cells, torch.as_tensor(list(classes), device=cells.device))
    distance = torch.linalg.vector_norm(student.float() - reference.detach().float(), dim=1)
    count = mask.sum()
    return weight * (distance * mask).sum() / count.clamp(min=1), count
