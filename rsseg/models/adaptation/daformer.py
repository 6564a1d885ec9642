"""DAFormer: a moving-average teacher labels the target, and the student learns from mixed images.

The arithmetic of one iteration; :mod:`rsseg.models.adaptation.strong` changes the mixed images' colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.dropout import _DropoutNd

from rsseg.errors import ConfigError
from rsseg.models.adaptation.method import AdaptationMethod, DomainBatch, Student, copy_network, upsample
from rsseg.models.adaptation.networks import full_logits, labels_of
from rsseg.models.adaptation.strong import strong_augmentation
from rsseg.models.autocast import without_autocast
from rsseg.models.dino_pretraining import update_average

__all__ = [
    "DAFormer",
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
    weights[:, max(shape[1] - bottom, 0) :] = 0
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


@MODELS.register_module()
class DAFormer(AdaptationMethod):
    """A teacher labels the target, and the student learns from the source and from mixtures of both.

    It works with any network without auxiliary heads; DAFormer's own is MiT-B5 with ``DAFormerHead``.

    Args:
        momentum: Largest part of the teacher that stays in an iteration, see :func:`ema_factor`.
        threshold: Probability from which a target pixel counts for the quality, see :func:`pseudo_labels`.
        distance_classes: Names (or ids) of the classes whose features stay near those that the encoder began with; by
            default none, and there is no copy of the encoder.
        distance: Factor of :func:`feature_distance`.
        top: Rows at the top whose pseudo labels do not count, see :func:`pixel_weights`.
        bottom: Rows at the bottom, likewise.
        release_defects: The release's :func:`class_mix_masks`; and its count of iterations begins anew in a resumed
            run, whose teacher is first overwritten by the student's parameters.

    Raises:
        ConfigError: The network has auxiliary heads, a batch has not as many images of the target as of the source, or
            a class is unknown.

    Source: Hoyer et al. 2022 and its release.  The teacher's batch normalisation works as in training, on the target's
    batch; it drops nothing out.  The count of iterations is saved, so that a resumed run does not copy the student.
    """

    def __init__(
        self,
        momentum: float = 0.999,
        threshold: float = 0.968,
        distance_classes: Sequence[str | int] = (),
        distance: float = 0.005,
        top: int = 0,
        bottom: int = 0,
        release_defects: bool = False,
    ) -> None:
        super().__init__()
        self.momentum, self.threshold, self.distance = momentum, threshold, distance
        self.distance_classes, self.release_defects = tuple(distance_classes), release_defects
        self.top, self.bottom, self._begun = top, bottom, 0
        self.reference: nn.ModuleDict | None
        self.register_module("reference", None)

    def setup(self, student: Student) -> None:
        """Make the teacher and, where features are held, a copy of the encoder."""
        modules: Any = student
        if modules.with_auxiliary_head:
            raise ConfigError(f"{type(self).__name__} trains no auxiliary heads; remove model.auxiliary_head")
        self.teacher = copy_network(student)
        if self.distance_classes:
            self.reference = copy_network(student, "backbone", "neck")
        self.train(self.training)

    def train(self, mode: bool = True) -> DAFormer:
        """As other modules, but the teacher drops nothing out and the encoder's copy stays in evaluation mode."""
        super().train(mode)
        for module in self.teacher.modules() if self.teacher is not None else ():
            if isinstance(module, _DropoutNd) or type(module).__name__ == "DropPath":
                module.training = False
        if self.reference is not None:
            self.reference.eval()
        return self

    @torch.no_grad()
    def begin(self, student: Student) -> None:
        """Copy the student in the first iteration, later move the teacher towards it."""
        if self.iteration == 0:
            self._begun = 0
        factor = ema_factor(self._begun if self.release_defects else self.iteration, self.momentum)
        self._begun += 1
        for copies in (self.teacher, self.reference):
            for name, part in copies.items() if copies is not None else ():
                own = getattr(student, name)
                if self.iteration == 0:
                    part.load_state_dict(own.state_dict())
                elif copies is self.teacher:
                    update_average(part, own, factor)

    def losses(self, student: Student, source: DomainBatch, target: DomainBatch, step: int) -> dict[str, Tensor]:
        """``loss_source``, ``loss_distance`` and ``loss_mix``; ``quality`` and shares of pseudo labels in the log."""
        labels, coins = labels_of(source), self._coins()
        features = student.extract_feat(source.inputs)
        logits = upsample(student, student.decode_head(features), source.size)
        out = {"loss_source": mean_cross_entropy(logits, labels)} | self._distance(features, source, labels)
        pseudo, quality = self._teach(student, target)
        weights = pixel_weights(quality, pseudo.shape, self.top, self.bottom)
        mixed = self._mix(source, target, labels, pseudo, weights)
        images = self._augment(student, mixed[0], coins)
        seen = full_logits(student, DomainBatch(images, target.samples))
        out["loss_mix"] = mean_cross_entropy(seen, mixed[1], mixed[2])
        counts = torch.bincount(pseudo.flatten(), minlength=logits.shape[1])
        out |= {"quality": quality, **self.named_values("pseudo", counts / pseudo.numel())}
        if self.keep_pictures:
            self.pictures = {"pseudo_label": pseudo}
        return out | self.more_losses(student, target, pseudo, weights)

    def more_losses(self, student: Student, target: DomainBatch, pseudo: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """What a method on top of this one adds.

        Args:
            student: The network.
            target: Images of the target.
            pseudo: (N, H, W) the teacher's labels.
            weights: (N, H, W) of these.
        """
        return {}

    def _coins(self) -> tuple[float, float]:
        return float(self.rng.uniform()), float(self.rng.uniform())

    @torch.no_grad()
    def _teach(self, student: Student, target: DomainBatch) -> tuple[Tensor, Tensor]:
        logits = upsample(student, student.network_logits("teacher", target.inputs), target.size)
        return pseudo_labels(logits, self.threshold)

    def _mix(
        self, source: DomainBatch, target: DomainBatch, labels: Tensor, pseudo: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Images, labels and weights of the mixtures."""
        if source.inputs.shape != target.inputs.shape:
            raise ConfigError(
                f"{type(self).__name__} mixes images in pairs, but a batch has {len(source)} of {source.size} pixels "
                f"of the source and {len(target)} of {target.size} of the target; use as many of both, of one size"
            )
        masks = class_mix_masks(labels, self.rng, self.release_defects)
        pairs = ((source.inputs, target.inputs), (labels, pseudo), (torch.ones_like(weights), weights))
        images, classes, shares = (mix(masks, own, other) for own, other in pairs)
        return images, classes, shares

    def _augment(self, student: Any, images: Tensor, coins: tuple[float, float]) -> Tensor:
        """Strong augmentation, in float32 also under autocast."""
        given = student.data_preprocessor
        mean, std = getattr(given, "mean", None), getattr(given, "std", None)
        if mean is None or std is None:
            mean, std = torch.zeros(images.shape[1]), torch.ones(images.shape[1])
        with without_autocast(images.device):
            return strong_augmentation(images.float(), mean.flatten(), std.flatten(), coins, self.rng)

    def _distance(self, features: Any, source: DomainBatch, labels: Tensor) -> dict[str, Tensor]:
        if self.reference is None:
            return {}
        parts: Any = self.reference
        with torch.no_grad():
            before = parts["backbone"](source.inputs)
            before = parts["neck"](before) if "neck" in parts else before
        head: Any = self.teacher
        count = head["decode_head"].num_classes
        loss, cells = feature_distance(
            features[-1], before[-1], labels, self._class_ids(count), count, weight=self.distance
        )
        return {"loss_distance": loss, "distance_cells": cells.float()}

    def _class_ids(self, count: int) -> list[int]:
        names = [str(i) for i in range(count)] if len(self.classes) != count else list(self.classes)
        unknown = [name for name in self.distance_classes if name not in names and name not in range(count)]
        if unknown:
            raise ConfigError(f"model.adaptation.distance_classes: no class {unknown[0]!r}; there are {names}")
        return [name if isinstance(name, int) else names.index(name) for name in self.distance_classes]
