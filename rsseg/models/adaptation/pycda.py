"""PyCDA: the network's own labels of pixels and of boxes of pixels, where it is sure, and balanced classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce
from mmseg.registry import MODELS
from torch import Tensor
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.models.adaptation.method import AdaptationMethod, DomainBatch, Student
from rsseg.models.adaptation.networks import full_logits, labels_of
from rsseg.models.multihead import set_loss

__all__ = ["PyCDA", "class_balance_loss", "self_label_loss"]

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


@MODELS.register_module()
class PyCDA(AdaptationMethod):
    """Two optimizer steps an iteration: the source's cross-entropy, not clipped, then the target's own labels.

    Args:
        weight: Factor of :func:`self_label_loss`.
        balance: Factor of :func:`class_balance_loss`.
        threshold: 0.7 for rural and 0.5 for urban targets in LoveDA's release.
        boxes: Sides of the boxes.
        prior: Shares of the classes; by default those of all source crops so far, on all processes.
        release_defects: The prior has no effect, see :func:`class_balance_loss`.

    Attributes:
        source_pixels: (C,) int64, counted labels of the source.

    Raises:
        ConfigError: ``prior`` has not a share for each class.

    Source: Lian et al. 2019 and LoveDA's release, whose head is ``form="ppm"``.
    """

    steps = 2
    unclipped = frozenset({0})

    def __init__(
        self,
        weight: float = 0.5,
        balance: float = 1.0,
        threshold: float = 0.7,
        boxes: Sequence[int] = _BOXES,
        prior: Sequence[float] | None = None,
        release_defects: bool = False,
    ) -> None:
        super().__init__()
        self.weight, self.balance, self.threshold, self.boxes = weight, balance, threshold, tuple(boxes)
        self.prior, self.release_defects = prior, release_defects
        self.source_pixels: Tensor

    def setup(self, student: Student) -> None:
        """Begin to count."""
        classes = student.decode_head.num_classes
        if self.prior is not None and len(self.prior) != classes:
            raise ConfigError(f"model.adaptation.prior has {len(self.prior)} shares for {classes} classes")
        self.register_buffer("source_pixels", torch.zeros(classes, dtype=torch.int64))

    def restart(self) -> None:
        """Begin at iteration 0, and to count."""
        super().restart()
        self.source_pixels.zero_()

    def losses(self, student: Student, source: DomainBatch, target: DomainBatch, step: int) -> dict[str, Tensor]:
        """``loss_source`` in step 0, ``loss_self_labels`` and ``loss_balance`` in step 1."""
        if step == 0:
            self._count(labels_of(source))
            return {"loss_source": set_loss(full_logits(student, source), labels_of(source))}
        logits = full_logits(student, target)
        loss, sure = self_label_loss(logits, self.threshold, self.boxes)
        return {
            "loss_self_labels": self.weight * loss,
            "loss_balance": self.balance * class_balance_loss(logits, self._shares(), self.release_defects),
            "sure": sure.float(),
        }

    def _count(self, labels: Tensor) -> None:
        classes = len(self.source_pixels)
        own = torch.bincount(labels[labels < classes], minlength=classes)
        all_reduce(own)
        self.source_pixels += own

    def _shares(self) -> Tensor:
        if self.prior is not None:
            return torch.tensor(self.prior)
        counts = self.source_pixels.double()
        total = counts.sum()
        return torch.where(total > 0, counts / total.clamp(min=1), 1 / len(counts))
