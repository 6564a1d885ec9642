"""IAST: pseudo labels by thresholds per class that move from image to image, and losses on the rest."""

from __future__ import annotations

import numpy as np
import torch
from mmseg.registry import MODELS
from torch import Tensor

from rsseg.models.adaptation.method import DomainBatch, Student
from rsseg.models.adaptation.networks import full_logits, labels_of
from rsseg.models.adaptation.pseudo_labels import SelfTrainingMethod, TargetImages
from rsseg.models.multihead import set_loss

__all__ = ["IAST", "START", "entropy_loss", "image_groups", "kept_divergence", "pseudo_labels", "update_thresholds"]

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
    return torch.from_numpy(np.where(new >= 1, _HIGHEST, new)).to(thresholds.device)


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


@MODELS.register_module()
class IAST(SelfTrainingMethod):
    """The source alone at first, then also the target by pseudo labels whose thresholds follow from image to image.

    Args:
        weight: Factor of the target's cross-entropy.
        entropy: Factor of :func:`entropy_loss`.
        divergence: Factor of :func:`kept_divergence`.
        alpha: See :func:`update_thresholds`.
        beta: See :func:`update_thresholds`.
        gamma: See :func:`update_thresholds`.
        start: See :class:`SelfTrainingMethod`; 8000 for rural and 4000 for urban targets in LoveDA's release.
        interval: See :class:`SelfTrainingMethod`.
        release_defects: Thresholds are found for pairs of images; the last one of an odd number has no labels, where
            the release ends with an error.

    Source: Mei et al. 2020 and LoveDA's release, whose head is ``form="ppm"``.  Its discriminator sees detached
    predictions, so that the network learns nothing from it; here there is none.
    """

    def __init__(
        self,
        weight: float = 0.5,
        entropy: float = 3.0,
        divergence: float = 0.1,
        alpha: float = 0.2,
        beta: float = 0.9,
        gamma: float = 8.0,
        start: int = 8000,
        interval: int = 1000,
        release_defects: bool = False,
    ) -> None:
        super().__init__(start, interval)
        self.weight, self.entropy, self.divergence = weight, entropy, divergence
        self.alpha, self.beta, self.gamma, self.release_defects = alpha, beta, gamma, release_defects

    def refresh(self, images: TargetImages) -> None:
        """Label the images in order; thresholds begin at :data:`START`."""

        def update(logits: list[Tensor], thresholds: Tensor) -> tuple[list[Tensor], Tensor]:
            sure = [own.softmax(1).max(1) for own in logits]
            values, owners = (torch.cat([own[i].flatten() for own in sure]) for i in (0, 1))
            thresholds = update_thresholds(thresholds, values, owners, self.alpha, self.beta, self.gamma)
            return [pseudo_labels(confidence, labels, thresholds) for confidence, labels in sure], thresholds

        groups = image_groups(len(images), self.release_defects)
        found = images.in_order(groups, update, torch.full_like(self.thresholds, START))
        self.thresholds.copy_(found)
        left = range(groups[-1].stop if groups else 0, len(images))
        for index in left if images.rank == 0 else ():
            logits = images.logits(index)
            images.write(index, torch.full_like(logits[:, 0], _IGNORED, dtype=torch.long), logits)

    def losses(self, student: Student, source: DomainBatch, target: DomainBatch, step: int) -> dict[str, Tensor]:
        """``loss_source`` and, from ``start`` on, ``loss_target``, ``loss_entropy`` and ``loss_divergence``."""
        out = {"loss_source": set_loss(full_logits(student, source), labels_of(source))}
        if self.adapts:
            labels, logits = self.pseudo_labels(target), full_logits(student, target)
            out["loss_target"] = self.weight * set_loss(logits, labels)
            out["loss_entropy"] = self.entropy * entropy_loss(logits, labels)[0]
            loss, count = kept_divergence(logits, labels)
            out["loss_divergence"] = self.divergence * loss
            out |= {"labelled": count / labels.numel(), **self.round_values()}
            if self.keep_pictures:
                self.pictures = {"pseudo_label": labels}
        return out
