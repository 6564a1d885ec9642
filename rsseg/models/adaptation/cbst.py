"""CBST: pseudo labels of the surest part of each class, by one threshold per class over all target images."""

from __future__ import annotations

import torch
from mmseg.registry import MODELS
from torch import Tensor

from rsseg.models.adaptation.method import DomainBatch, Student
from rsseg.models.adaptation.networks import full_logits, labels_of
from rsseg.models.adaptation.pseudo_labels import SelfTrainingMethod, TargetImages
from rsseg.models.multihead import set_loss

__all__ = [
    "BINS",
    "CBST",
    "add_confidences",
    "class_thresholds",
    "confidence_histogram",
    "probabilities",
    "pseudo_labels",
]

BINS = 2**20
"""Bins of a histogram between 0 and 1; thresholds are exact to one bin, 9.5e-7."""
_IGNORED = 255
_STEP = 4


def probabilities(logits: Tensor, release_defects: bool = False) -> Tensor:
    """Probabilities (N, C, H, W) of logits (N, C, H, W).

    Args:
        logits: At full size.
        release_defects: The softmax is applied twice, as in LoveDA's release, whose networks give probabilities in
            evaluation: no confidence is above e / (e + C - 1) then.
    """
    out = logits.float().softmax(1)
    return out.softmax(1) if release_defects else out


def confidence_histogram(classes: int, device: torch.device | str = "cpu") -> Tensor:
    """An empty histogram (C, BINS + 1) int64; bin b counts confidences in b / BINS .. (b + 1) / BINS."""
    return torch.zeros(classes, BINS + 1, dtype=torch.long, device=device)


@torch.no_grad()
def add_confidences(histogram: Tensor, confidence: Tensor, labels: Tensor, step: int = _STEP) -> None:
    """Count one image's largest probabilities: of each class every ``step``-th pixel, row by row, from its first.

    Args:
        histogram: (C, BINS + 1) of :func:`confidence_histogram`; counted into, in place.  Histograms of processes add.
        confidence: (H, W) largest probabilities, 0 .. 1.
        labels: (H, W) int64, the classes that have them.
        step: 1 counts every pixel.
    """
    flat, labels = confidence.flatten().float(), labels.flatten()
    for c, row in enumerate(histogram):
        own = (flat[labels == c][::step] * BINS).long().clamp(0, BINS)
        row.index_add_(0, own, torch.ones_like(own))


def class_thresholds(histogram: Tensor, portion: float = 0.1) -> Tensor:
    """For each class the n-th largest confidence, n = floor(portion * count); 1 where n is 0.

    Args:
        histogram: (C, BINS + 1) of all target images.
        portion: Share of the pixels to keep.

    Returns:
        (C,) float64.  It is the lower end of the bin with the n-th largest confidence: equal to it, or less by at most
        1 / BINS, so that no pixel gets lost that sorting would keep.

    Source: Zou et al., "CBST", 2018, algorithm 2, with a constant portion; LoveDA's release sorts all confidences.
    """
    thresholds = torch.ones(len(histogram), dtype=torch.float64)
    for c, row in enumerate(histogram):
        above = row.flip(0).cumsum(0)
        n = int(int(above[-1]) * portion)
        if n:
            found = int(torch.searchsorted(above, torch.tensor(n, device=above.device)))
            thresholds[c] = (BINS - found) / BINS
    return thresholds


def pseudo_labels(probabilities: Tensor, thresholds: Tensor) -> Tensor:
    """The class whose probability is largest beside its threshold, 255 where none reaches it.

    Args:
        probabilities: (N, C, H, W).
        thresholds: (C,).

    Returns:
        (N, H, W) int64; it need not be the class with the largest probability.

    Source: Zou et al. 2018, equation 4.
    """
    relative, labels = (probabilities.double() / thresholds.to(probabilities.device).view(-1, 1, 1)).max(1)
    return labels.where(relative >= 1, _IGNORED)


@MODELS.register_module()
class CBST(SelfTrainingMethod):
    """The source alone at first, then also the target by pseudo labels of its surest pixels, class by class.

    Args:
        portion: Share of the pixels of each class to keep; 0.1 for rural and 0.5 for urban targets in LoveDA's release.
        weight: Factor of the target's cross-entropy.
        start: See :class:`SelfTrainingMethod`.
        interval: Likewise.
        release_defects: The softmax is applied twice, see :func:`probabilities`.

    Source: Zou et al. 2018 and LoveDA's release, whose head is ``form="ppm"``.
    """

    def __init__(
        self,
        portion: float = 0.1,
        weight: float = 0.5,
        start: int = 4000,
        interval: int = 1000,
        release_defects: bool = False,
    ) -> None:
        super().__init__(start, interval)
        self.portion, self.weight, self.release_defects = portion, weight, release_defects

    def refresh(self, images: TargetImages) -> None:
        """Count the confidences of all images, then label each; every image is predicted twice, and none is kept."""
        histogram = confidence_histogram(len(self.thresholds), self.thresholds.device)
        for _, logits in images.own():
            confidence, labels = probabilities(logits, self.release_defects)[0].max(0)
            add_confidences(histogram, confidence, labels)
        self.thresholds.copy_(class_thresholds(images.sum(histogram), self.portion))
        for index, logits in images.own():
            labels = pseudo_labels(probabilities(logits, self.release_defects), self.thresholds)
            images.write(index, labels, logits)

    def losses(self, student: Student, source: DomainBatch, target: DomainBatch, step: int) -> dict[str, Tensor]:
        """``loss_source`` and, from ``start`` on, ``loss_target``; ``labelled`` is the share of pixels it is over."""
        out = {"loss_source": set_loss(full_logits(student, source), labels_of(source))}
        if self.adapts:
            labels = self.pseudo_labels(target)
            out["loss_target"] = self.weight * set_loss(full_logits(student, target), labels)
            out |= {"labelled": (labels != _IGNORED).float().mean(), **self.round_values()}
            if self.keep_pictures:
                self.pictures = {"pseudo_label": labels}
        return out
