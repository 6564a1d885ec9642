"""AdaptSegNet's losses, and TransNorm's: a discriminator learns the domain, the network hides that of the target."""

from __future__ import annotations

from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional

from rsseg.models.adaptation.discriminators import FCDiscriminator
from rsseg.models.adaptation.method import AdaptationMethod, DomainBatch, Student, frozen
from rsseg.models.adaptation.networks import head_outputs, labels_of, require_form
from rsseg.models.multihead import set_loss

__all__ = [
    "SOURCE",
    "TARGET",
    "AdaptSeg",
    "adversarial_loss",
    "discriminator_accuracy",
    "discriminator_loss",
    "domain_loss",
    "output_losses",
]

SOURCE, TARGET = 0.0, 1.0
"""What a discriminator shall say of a domain."""
_MAIN, _AUXILIARY = 0.001, 0.0002
_SEGMENTATION = 0.1


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


def output_losses(
    method: AdaptSeg, labels: Tensor, source: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    """All losses of two classifiers and their discriminators.

    Args:
        method: With the discriminators and the factors.
        labels: (N, H, W) int64 of the source.
        source: (N, C, H, W) main and auxiliary logits of the source.
        target: The same of the target.
    """
    critics: tuple[nn.Module, nn.Module] = (method.discriminator, method.auxiliary_discriminator)
    with frozen(*critics):
        hidden = [critic(logits.softmax(1)) for critic, logits in zip(critics, target, strict=True)]
    out = {
        "loss_source": set_loss(source[0], labels),
        "loss_source_auxiliary": method.auxiliary_source * set_loss(source[1], labels),
        "loss_adversarial": adversarial_loss(hidden[0], hidden[1], method.main, method.auxiliary),
    }
    for critic, name, own, other in zip(critics, ("main", "auxiliary"), source, target, strict=True):
        scores = critic(own.detach().softmax(1)), critic(other.detach().softmax(1))
        out[f"loss_discriminator_{name}"] = discriminator_loss(*scores)
        out[f"accuracy_discriminator_{name}"] = discriminator_accuracy(*scores).detach()
    return out


@MODELS.register_module()
class AdaptSeg(AdaptationMethod):
    """AdaptSegNet: a discriminator on the probabilities of each of the two classifiers; ``form="cascade"`` of the head.

    Args:
        main: Factor of the adversarial loss of the last map's classifier.
        auxiliary: Factor of that of the map before it.
        auxiliary_source: Factor of the cross-entropy of that.
        channels: Width of the discriminators' first layer.

    Source: Tsai et al. 2018, section 4, in the order of LoveDA's release: no discriminator sees the target as source.
    """

    discriminators = ("discriminator", "auxiliary_discriminator")
    form = "cascade"

    def __init__(
        self,
        main: float = _MAIN,
        auxiliary: float = _AUXILIARY,
        auxiliary_source: float = _SEGMENTATION,
        channels: int = 64,
    ) -> None:
        super().__init__()
        self.main, self.auxiliary, self.auxiliary_source, self.channels = main, auxiliary, auxiliary_source, channels

    def setup(self, student: Student) -> None:
        """Check the head, and make the discriminators."""
        require_form(self, student, self.form)
        classes = student.decode_head.num_classes
        self.discriminator = FCDiscriminator(classes, self.channels)
        self.auxiliary_discriminator = FCDiscriminator(classes, self.channels)

    def losses(self, student: Student, source: DomainBatch, target: DomainBatch, step: int) -> dict[str, Tensor]:
        """See :func:`output_losses`."""
        own = head_outputs(student, source.inputs, source.size)
        other = head_outputs(student, target.inputs, target.size)
        return output_losses(
            self, labels_of(source), (own["main"], own["auxiliary"]), (other["main"], other["auxiliary"])
        )
