"""AdaptSegNet's losses, and TransNorm's: a discriminator learns the domain, the network hides that of the target."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

__all__ = ["SOURCE", "TARGET", "adversarial_loss", "discriminator_accuracy", "discriminator_loss", "domain_loss"]

SOURCE, TARGET = 0.0, 1.0
"""What a discriminator shall say of a domain."""
_MAIN, _AUXILIARY = 0.001, 0.0002


def domain_loss(logits: Tensor, domain: float, weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy of a discriminator's logits and one domain, mean over all of them.

    Args:
        logits: (N, 1, h, w).
        domain: ``SOURCE`` or ``TARGET``.
        weights: (N, 1, h, w) factors, which get gradients; the mean is over the number of logits, not of the weights.
    """
    losses = functional.softplus(logits.float() * (1 - 2 * domain))
    return (losses if weights is None else losses * weights).mean()


def adversarial_loss(
    main: Tensor, auxiliary: Tensor, main_weight: float = _MAIN, auxiliary_weight: float = _AUXILIARY
) -> Tensor:
    """The network's part: the discriminators shall take the target for the source.

    Args:
        main: (N, 1, h, w) logits of the discriminator of the main probabilities of the target.
        auxiliary: (N, 1, h, w) logits of that of the auxiliary ones.
        main_weight: Factor of the first.
        auxiliary_weight: Factor of the second.

    Source: Tsai et al. 2018, equation 8 and section 4.
    """
    return main_weight * domain_loss(main, SOURCE) + auxiliary_weight * domain_loss(auxiliary, SOURCE)


def discriminator_loss(source: Tensor, target: Tensor) -> Tensor:
    """One discriminator's part: half of the loss of each domain.

    Args:
        source: (N, 1, h, w) logits of detached source probabilities.
        target: (N, 1, h, w) logits of detached target probabilities.
    """
    return (domain_loss(source, SOURCE) + domain_loss(target, TARGET)) / 2


def discriminator_accuracy(source: Tensor, target: Tensor) -> Tensor:
    """Mean over both domains of the share of logits on the right side of 0; 0.5 where the domains look alike."""
    return ((source < 0).float().mean() + (target >= 0).float().mean()) / 2
