"""FADA: a discriminator that tells the domain class by class, taught by the network's own soft labels."""

from __future__ import annotations

import torch
from mmseg.registry import MODELS
from torch import Tensor
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.models.adaptation.discriminators import PixelDiscriminator
from rsseg.models.adaptation.method import AdaptationMethod, DomainBatch, Student, frozen, upsample
from rsseg.models.adaptation.networks import labels_of
from rsseg.models.multihead import set_loss

__all__ = [
    "FADA",
    "TEMPERATURE",
    "adversarial_loss",
    "discriminator_loss",
    "domain_labels",
    "soft_cross_entropy",
    "soft_labels",
    "source_loss",
]

TEMPERATURE = 1.8
"""What logits are divided by, for the cross-entropy and for the soft labels."""
_LARGEST = 0.9


def source_loss(logits: Tensor, labels: Tensor, weight: float = 0.1, temperature: float = TEMPERATURE) -> Tensor:
    """weight * cross-entropy of logits / temperature, mean over labelled pixels.

    Args:
        logits: (N, C, H, W).
        labels: (N, H, W) int64 class ids or 255.
        weight: 0.1 in LoveDA's release, 1 in the paper.
        temperature: Above 0.
    """
    return weight * set_loss(logits.float() / temperature, labels)


def soft_labels(logits: Tensor, temperature: float = TEMPERATURE, largest: float = _LARGEST) -> Tensor:
    """Probabilities (N, C, H, W) of logits / temperature, cut at ``largest`` without renormalising; no gradient."""
    return (logits.detach().float() / temperature).softmax(1).clamp(max=largest)


def domain_labels(soft: Tensor, target: bool) -> Tensor:
    """Labels (N, 2C, H, W) of a domain: [soft | 0] of the source, [0 | soft] of the target."""
    parts = (torch.zeros_like(soft), soft) if target else (soft, torch.zeros_like(soft))
    return torch.cat(parts, 1)


def soft_cross_entropy(domain_logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over pixels of -sum_k label_k * log softmax_k.

    Args:
        domain_logits: (N, 2C, H, W) of the discriminator, at the size of the labels.
        labels: (N, 2C, H, W); they need not sum to 1.
    """
    return -(labels * domain_logits.float().log_softmax(1)).sum(1).mean()


def adversarial_loss(domain_logits: Tensor, soft: Tensor, weight: float = 0.001) -> Tensor:
    """The network's part: the target's features shall look like the source's of the same class.

    Args:
        domain_logits: (N, 2C, H, W) of the target.
        soft: (N, C, H, W) soft labels of the target.
        weight: Factor.

    Source: Wang et al., "FADA", 2020, equation 6.
    """
    return weight * soft_cross_entropy(domain_logits, domain_labels(soft, target=False))


def discriminator_loss(source: Tensor, target: Tensor, soft_source: Tensor, soft_target: Tensor) -> Tensor:
    """The discriminator's part: half of the loss of each domain.

    Args:
        source: (N, 2C, H, W) logits of detached source features.
        target: (N, 2C, H, W) logits of detached target features.
        soft_source: (N, C, H, W) soft labels of the source.
        soft_target: (N, C, H, W) soft labels of the target.

    Source: Wang et al. 2020, equation 5.
    """
    own = soft_cross_entropy(source, domain_labels(soft_source, target=False))
    return (own + soft_cross_entropy(target, domain_labels(soft_target, target=True))) / 2


@MODELS.register_module()
class FADA(AdaptationMethod):
    """A class-wise discriminator on the features before the last stage, taught by soft labels.

    The target trains the encoder up to those features only.

    Args:
        source_weight: Factor of the source's cross-entropy: 0.1 in LoveDA's release, 1 in the paper.
        weight: Factor of the adversarial loss.
        temperature: See :func:`soft_labels`.
        in_channels: Channels of the features; those of the first map of ``DeepLabV2Head`` by default.
        in_index: Which of the backbone's maps they are; that of ``DeepLabV2Head`` by default.
        channels: Widths of the discriminator.

    Raises:
        ConfigError: The head does not say which map comes before the last, and neither does the config.

    Source: Wang et al. 2020 and LoveDA's release.
    """

    discriminators = ("discriminator",)

    def __init__(
        self,
        source_weight: float = 0.1,
        weight: float = 0.001,
        temperature: float = TEMPERATURE,
        in_channels: int | None = None,
        in_index: int | None = None,
        channels: tuple[int, int] = (512, 256),
    ) -> None:
        super().__init__()
        self.source_weight, self.weight, self.temperature = source_weight, weight, temperature
        self.in_channels, self.in_index, self.channels = in_channels, in_index, channels

    def setup(self, student: Student) -> None:
        """Make the discriminator."""
        head = student.decode_head
        if self.in_channels is None or self.in_index is None:
            if not hasattr(head, "form"):
                raise ConfigError(
                    f"FADA needs the features before the last stage, which {type(head).__name__} does not name; set "
                    "model.adaptation.in_index and in_channels"
                )
            self.in_channels, self.in_index = head.in_channels[0], head.in_index[0]
        self.discriminator = PixelDiscriminator(self.in_channels, head.num_classes, self.channels)

    def losses(self, student: Student, source: DomainBatch, target: DomainBatch, step: int) -> dict[str, Tensor]:
        """``loss_source``, ``loss_adversarial`` and ``loss_discriminator``."""
        own, logits = self._seen(student, source)
        other, unlabelled = self._seen(student, target)
        soft = soft_labels(logits, self.temperature), soft_labels(unlabelled, self.temperature)
        with frozen(self.discriminator):
            hidden = self._domain_logits(other, target)
        said = self._domain_logits(own.detach(), source), self._domain_logits(other.detach(), target)
        return {
            "loss_source": source_loss(logits, labels_of(source), self.source_weight, self.temperature),
            "loss_adversarial": adversarial_loss(hidden, soft[1], self.weight),
            "loss_discriminator": discriminator_loss(*said, *soft),
            "accuracy_discriminator": _accuracy(*said).detach(),
        }

    def _seen(self, student: Student, batch: DomainBatch) -> tuple[Tensor, Tensor]:
        """Features, and logits at full size."""
        maps = student.extract_feat(batch.inputs)
        return maps[self.in_index or 0], upsample(student, student.decode_head(maps), batch.size)

    def _domain_logits(self, features: Tensor, batch: DomainBatch) -> Tensor:
        logits = self.discriminator(features).float()
        return functional.interpolate(logits, size=batch.size, mode="bilinear", align_corners=True)


def _accuracy(source: Tensor, target: Tensor) -> Tensor:
    """Mean over both domains of the share of pixels whose largest logit is in the half of their domain."""
    half = source.shape[1] // 2
    return ((source.argmax(1) < half).float().mean() + (target.argmax(1) >= half).float().mean()) / 2
