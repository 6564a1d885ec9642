"""Losses of Mask2Former: queries are matched to the classes of an image; masks are compared at sampled points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmengine.dist import all_reduce, get_comm_device, is_distributed
from scipy.optimize import linear_sum_assignment
from torch.nn import functional

from rsseg.models.autocast import without_autocast

__all__ = [
    "ClassMasks",
    "LossSettings",
    "Pairs",
    "assign",
    "class_loss",
    "class_masks",
    "mask_losses",
    "match",
    "mean_count",
    "query_losses",
    "sample_points",
]


class LossSettings(NamedTuple):
    """Weights and points; the defaults are those of the paper and of the SAMRS release.

    Source: Mask2Former paper, section 4.1.
    """

    class_weight: float = 2.0
    mask_weight: float = 5.0
    dice_weight: float = 5.0
    no_object_weight: float = 0.1
    """Of queries without a class in the classification loss."""
    points: int = 12544
    oversample: float = 3.0
    """Random points among which uncertain ones are looked for, over ``points``."""
    importance: float = 0.75
    """Share of the points that are uncertain ones; the others are random."""
    ignore_unlabelled: bool = False
    """Points without a label do not count; otherwise they are outside of all masks, as in mmseg and the release."""


Pairs = list[tuple[torch.Tensor, torch.Tensor]]
"""For each image the matched queries and the rows of their classes."""


class ClassMasks(NamedTuple):
    """What an image holds: one mask for each class, whatever its number of objects."""

    labels: torch.Tensor
    """(K,) int64 ids of the classes that occur."""
    masks: torch.Tensor
    """(K, H, W) float32, 1 where the class is."""
    labelled: torch.Tensor
    """(1, H, W) float32, 1 where there is a class."""


def class_masks(labels: torch.Tensor, ignore_index: int = 255) -> ClassMasks:
    """Classes and masks of an image's label map (H, W), without ``ignore_index``."""
    present = labels.unique()
    present = present[present != ignore_index].long()
    return ClassMasks(present, (labels == present[:, None, None]).float(), (labels != ignore_index)[None].float())


def mean_count(targets: Sequence[ClassMasks], empty: int = 1) -> torch.Tensor:
    """Number of masks of the images, a scalar; the mean over all processes (every one must call this), at least 1.

    Args:
        targets: One for each image.
        empty: What an image without a class counts as.

    Source: mmdet and the SAMRS release; in the paper's own code and its descendants, an image without a class counts
    as none.
    """
    count = torch.tensor(float(sum(len(target.labels) or empty for target in targets)))
    if is_distributed():
        count = count.to(get_comm_device())
        all_reduce(count, op="mean")
    return count.clamp(min=1)


def sample_points(maps: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Maps (M, H, W) at points (M or 1, P, 2) x and y from 0 to 1 (bilinear, zero outside): (M, P)."""
    grid = (2 * points - 1).expand(len(maps), -1, -1)[:, :, None]
    return functional.grid_sample(maps[:, None], grid, align_corners=False)[:, 0, :, 0]


def match(
    scores: torch.Tensor,
    masks: torch.Tensor,
    labels: torch.Tensor,
    truth: torch.Tensor,
    settings: LossSettings,
    counts: torch.Tensor | None = None,
) -> torch.Tensor:
    """What it costs to give query q the class k.

    Args:
        scores: (Q, classes + 1) float32 logits, the last for "none".
        masks: (Q, P) float32 logits at points.
        labels: (K,) ids of the classes.
        truth: (K, P) float32 from 0 to 1, the classes' masks at the points.
        settings: Weights.
        counts: (P,) 1 where a point counts, or None for all.

    Returns:
        (Q, K) float32.
    """
    weights = truth.new_ones(1, truth.shape[1]) if counts is None else counts[None]
    inner = truth * weights
    entropy = (functional.softplus(masks) @ weights.T - masks @ inner.T) / weights.sum().clamp(min=1)
    shares = masks.sigmoid() * weights
    dice = 1 - (2 * shares @ inner.T + 1) / (shares.sum(1)[:, None] + inner.sum(1) + 1)
    probability = scores.softmax(-1)[:, labels]
    return settings.mask_weight * entropy + settings.dice_weight * dice - settings.class_weight * probability


@torch.no_grad()
def assign(scores: torch.Tensor, masks: torch.Tensor, targets: Sequence[ClassMasks], settings: LossSettings) -> Pairs:
    """Who gets which class, at the least cost in each image; arguments as for :func:`query_losses`."""
    costs = []  # all of them first, so that a GPU does not wait for each assignment
    for score, mask, target in zip(scores, masks, targets, strict=True):
        points = torch.rand(1, settings.points, 2, device=mask.device)
        counts = sample_points(target.labelled, points)[0] if settings.ignore_unlabelled else None
        truth = sample_points(target.masks, points)
        costs.append(match(score, sample_points(mask, points), target.labels, truth, settings, counts))
    out = []
    for cost in costs:
        rows, columns = linear_sum_assignment(cost.cpu().numpy())
        out.append((torch.as_tensor(rows, device=cost.device), torch.as_tensor(columns, device=cost.device)))
    return out


@torch.no_grad()
def _uncertain_points(masks: torch.Tensor, settings: LossSettings) -> torch.Tensor:
    """Points (M, P, 2) for masks (M, H, W): most of them where a mask is near its border, the others anywhere."""
    candidates = torch.rand(len(masks), int(settings.points * settings.oversample), 2, device=masks.device)
    uncertain = int(settings.importance * settings.points)
    best = (-sample_points(masks, candidates).abs()).topk(uncertain, 1, sorted=False).indices
    chosen = candidates[torch.arange(len(masks), device=masks.device)[:, None], best]
    others = torch.rand(len(masks), settings.points - uncertain, 2, device=masks.device)
    return torch.cat([chosen, others], 1)


def class_loss(
    scores: torch.Tensor, targets: Sequence[ClassMasks], pairs: Pairs, settings: LossSettings
) -> torch.Tensor:
    """Cross-entropy of scores (N, Q, classes + 1) with the matched classes, the last one for queries without: a scalar.

    It is not weighted by ``settings.class_weight``.
    """
    wanted = scores.new_full(scores.shape[:2], scores.shape[2] - 1, dtype=torch.long)
    for row, target, (queries, classes) in zip(wanted, targets, pairs, strict=True):
        row[queries] = target.labels[classes]
    weight = scores.new_ones(scores.shape[2])
    weight[-1] = settings.no_object_weight
    return functional.cross_entropy(scores.flatten(0, 1), wanted.flatten(), weight)


def mask_losses(
    masks: torch.Tensor, targets: Sequence[ClassMasks], pairs: Pairs, settings: LossSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy and dice of logits (N, Q, h, w), summed over all matched masks (0 without any), not weighted."""
    chosen = torch.cat([mask[queries] for mask, (queries, _) in zip(masks, pairs, strict=True)])
    truth = torch.cat([t.masks[classes] for t, (_, classes) in zip(targets, pairs, strict=True)])
    points = _uncertain_points(chosen, settings)
    logits, target = sample_points(chosen, points), sample_points(truth, points)
    counts = torch.ones_like(target)
    if settings.ignore_unlabelled:
        labelled = [t.labelled.expand(len(queries), -1, -1) for t, (queries, _) in zip(targets, pairs, strict=True)]
        counts = sample_points(torch.cat(labelled), points)
    entropy = functional.binary_cross_entropy_with_logits(logits, target, counts, reduction="none").sum(1)
    entropy = entropy / counts.sum(1).clamp(min=1)
    shares, inner = logits.sigmoid() * counts, target * counts
    dice = 1 - (2 * (shares * inner).sum(1) + 1) / (shares.sum(1) + inner.sum(1) + 1)
    return entropy.sum(), dice.sum()


def query_losses(
    scores: torch.Tensor,
    masks: torch.Tensor,
    targets: Sequence[ClassMasks],
    count: torch.Tensor,
    settings: LossSettings,
) -> dict[str, torch.Tensor]:
    """Losses of one layer's queries, in float32 also under autocast.

    Args:
        scores: (N, Q, classes + 1) logits, the last for "none".
        masks: (N, Q, h, w) logits.
        targets: One for each image.
        count: What the mask losses are divided by, see :func:`mean_count`.
        settings: Weights and points.

    Returns:
        ``loss_cls``, ``loss_mask`` and ``loss_dice``, float32 scalars; the last two are 0 where no image has a class.

    Source: Mask2Former paper, equations 3 to 5 of MaskFormer with the points of section 3.3; ours is
    ``ignore_unlabelled``.
    """
    with without_autocast(masks.device):
        scores, masks = scores.float(), masks.float()
        pairs = assign(scores, masks, targets, settings)
        loss_cls = class_loss(scores, targets, pairs, settings)
        entropy, dice = mask_losses(masks, targets, pairs, settings)
    count = count.to(entropy.device)
    return {
        "loss_cls": settings.class_weight * loss_cls,
        "loss_mask": settings.mask_weight * entropy / count,
        "loss_dice": settings.dice_weight * dice / count,
    }
