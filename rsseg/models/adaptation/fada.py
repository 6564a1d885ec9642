"""FADA: a discriminator that tells the domain class by class, taught by the network's own soft labels."""

from __future__ import annotations

import torch
from torch import Tensor

from rsseg.models.multihead import set_loss

__all__ = [
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
