"""Losses of MaskFormer: queries are matched to the classes of an image; whole masks are compared, by focal and dice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.optimize import linear_sum_assignment
from torch.nn import functional

from rsseg.models.autocast import without_autocast
from rsseg.models.mask2former.losses import ClassMasks, LossSettings, Pairs, class_loss

__all__ = ["FocalSettings", "focal_losses", "match_masks"]


class FocalSettings(NamedTuple):
    """Weights; the defaults are those of MaskFormer's and OV-Seg's configurations.

    Source: MaskFormer paper, section 4.1.
    """

    class_weight: float = 1.0
    mask_weight: float = 20.0
    dice_weight: float = 1.0
    no_object_weight: float = 0.1
    """Of queries without a class in the classification loss."""
    alpha: float = 0.25
    """Weight of pixels inside of the true mask in the focal loss; that of the others is 1 - alpha."""
    gamma: float = 2.0
    """Exponent by which pixels that are right already lose weight."""


def match_masks(
    scores: torch.Tensor, masks: torch.Tensor, labels: torch.Tensor, truth: torch.Tensor, settings: FocalSettings
) -> torch.Tensor:
    """What it costs to give query q the class k.

    Args:
        scores: (Q, classes + 1) float32 logits, the last for "none".
        masks: (Q, P) float32 logits of all pixels.
        labels: (K,) ids of the classes.
        truth: (K, P) float32, 0 or 1.
        settings: Weights.

    Returns:
        (Q, K) float32.

    Source: MaskFormer release.
    """
    shares = masks.sigmoid()
    inside = settings.alpha * (1 - shares) ** settings.gamma * functional.softplus(-masks)
    outside = (1 - settings.alpha) * shares**settings.gamma * functional.softplus(masks)
    focal = (inside @ truth.T + outside @ (1 - truth).T) / masks.shape[1]
    dice = 1 - (2 * shares @ truth.T + 1) / (shares.sum(1)[:, None] + truth.sum(1) + 1)
    probability = scores.softmax(-1)[:, labels]
    return settings.mask_weight * focal + settings.dice_weight * dice - settings.class_weight * probability


@torch.no_grad()
def _assign(scores: torch.Tensor, masks: torch.Tensor, targets: Sequence[ClassMasks], settings: FocalSettings) -> Pairs:
    """Who gets which class, at the least cost in each image; the true masks are brought to the size of the others."""
    costs = []
    for score, mask, target in zip(scores, masks, targets, strict=True):
        truth = functional.interpolate(target.masks[:, None], size=mask.shape[1:], mode="nearest")[:, 0].flatten(1)
        costs.append(match_masks(score, mask.flatten(1), target.labels, truth, settings))
    found = [linear_sum_assignment(cost.cpu().numpy()) for cost in costs]
    return [
        (torch.as_tensor(rows, device=scores.device), torch.as_tensor(columns, device=scores.device))
        for rows, columns in found
    ]


def focal_losses(
    scores: torch.Tensor,
    masks: torch.Tensor,
    targets: Sequence[ClassMasks],
    count: torch.Tensor,
    settings: FocalSettings,
) -> dict[str, torch.Tensor]:
    """Losses of one layer's queries, in float32 also under autocast.

    Args:
        scores: (N, Q, classes + 1) logits, the last for "none".
        masks: (N, Q, h, w) logits; they are brought to the size of the true masks.
        targets: One for each image, all of one size.
        count: What the mask losses are divided by, see ``mean_count``.
        settings: Weights.

    Returns:
        ``loss_cls``, ``loss_mask`` and ``loss_dice``, float32 scalars; the last two are 0 where no image has a class.

    Source: MaskFormer paper, equations 1 to 5 and release.
    """
    with without_autocast(masks.device):
        scores, masks = scores.float(), masks.float()
        pairs = _assign(scores, masks, targets, settings)
        loss_cls = class_loss(scores, targets, pairs, LossSettings(no_object_weight=settings.no_object_weight))
        chosen = torch.cat([mask[queries] for mask, (queries, _) in zip(masks, pairs, strict=True)])
        truth = torch.cat([t.masks[classes] for t, (_, classes) in zip(targets, pairs, strict=True)]).flatten(1)
        size = targets[0].masks.shape[1:]
        logits = functional.interpolate(chosen[:, None], size=size, mode="bilinear", align_corners=False).flatten(1)
        shares = logits.sigmoid()
        entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        wrong = shares * (1 - truth) + (1 - shares) * truth
        weight = settings.alpha * truth + (1 - settings.alpha) * (1 - truth)
        focal = (weight * wrong**settings.gamma * entropy).mean(1).sum()
        dice = (1 - (2 * (shares * truth).sum(1) + 1) / (shares.sum(1) + truth.sum(1) + 1)).sum()
    count = count.to(focal.device)
    return {
        "loss_cls": settings.class_weight * loss_cls,
        "loss_mask": settings.mask_weight * focal / count,
        "loss_dice": settings.dice_weight * dice / count,
    }
