"""CLAN: two classifiers must differ, and where they disagree on the target the discriminator counts more."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from mmseg.registry import MODELS
from torch import Tensor
from torch.nn import functional

from rsseg.models.adaptation.adversarial import SOURCE, TARGET, discriminator_accuracy, domain_loss
from rsseg.models.adaptation.discriminators import FCDiscriminator
from rsseg.models.adaptation.method import AdaptationMethod, DomainBatch, Student, frozen
from rsseg.models.adaptation.networks import head_outputs, labels_of, require_form
from rsseg.models.multihead import set_loss

__all__ = [
    "CLAN",
    "adversarial_loss",
    "damping",
    "discrepancy_map",
    "discriminator_loss",
    "local_domain_loss",
    "scale_to_pixels",
    "weight_discrepancy",
]

_STOP, _PLAIN = 10000, 750
_LOCAL, _FLOOR = 10.0, 0.4


def damping(iteration: int, stop: int = _STOP) -> float:
    """Factor of the adversarial and of the weight term: from 1 at iteration 0 to 0 at ``stop`` and after it."""
    return max(1 - iteration / stop, 0.0)


def discrepancy_map(first: Tensor, second: Tensor) -> Tensor:
    """1 - cosine of the two classifiers' probabilities, for every pixel.

    Args:
        first: (N, C, H, W) logits.
        second: (N, C, H, W) logits.

    Returns:
        (N, 1, H, W) in 0 .. 1, with gradients to both.
    """
    cosine = functional.cosine_similarity(first.float().softmax(1), second.float().softmax(1), dim=1)
    return 1 - cosine[:, None]


def scale_to_pixels(domain_logits: Tensor, size: tuple[int, int]) -> Tensor:
    """A discriminator's logits (N, 1, h, w) at the size of the image (H, W), bilinear with aligned corners.

    Only those of the target are scaled.
    """
    return functional.interpolate(domain_logits.float(), size=size, mode="bilinear", align_corners=True)


def local_domain_loss(
    domain_logits: Tensor, domain: float, discrepancy: Tensor, iteration: int, plain_iterations: int = _PLAIN
) -> Tensor:
    """Domain loss of the target where every pixel counts 0.4 + 10 times its discrepancy.

    Args:
        domain_logits: (N, 1, H, W), scaled to pixels.
        domain: ``SOURCE`` in the network's step, ``TARGET`` in the discriminator's.
        discrepancy: (N, 1, H, W) of :func:`discrepancy_map`; detach it in the discriminator's step only: in the
            network's step it gets gradients.
        iteration: From 0.
        plain_iterations: Up to and including this iteration all pixels count 1.

    Source: Luo et al., "CLAN", 2019, equation 4, lambda_local = 10, epsilon = 0.4; LoveDA's release.
    """
    plain = iteration <= plain_iterations
    return domain_loss(domain_logits, domain, None if plain else _FLOOR + _LOCAL * discrepancy)


def adversarial_loss(
    domain_logits: Tensor,
    discrepancy: Tensor,
    iteration: int,
    weight: float = 0.001,
    stop: int = _STOP,
    plain_iterations: int = _PLAIN,
) -> Tensor:
    """The network's part: the discriminator shall take the target's pixels for the source.

    Args:
        domain_logits: (N, 1, H, W) of the target, scaled to pixels.
        discrepancy: (N, 1, H, W), not detached.
        iteration: From 0.
        weight: Factor besides the damping.
        stop: See :func:`damping`.
        plain_iterations: See :func:`local_domain_loss`.
    """
    loss = local_domain_loss(domain_logits, SOURCE, discrepancy, iteration, plain_iterations)
    return weight * damping(iteration, stop) * loss


def discriminator_loss(
    source: Tensor, target: Tensor, discrepancy: Tensor, iteration: int, plain_iterations: int = _PLAIN
) -> Tensor:
    """The discriminator's part, which is not damped.

    Args:
        source: (N, 1, h, w) logits of the source, not scaled.
        target: (N, 1, H, W) logits of the target, scaled to pixels.
        discrepancy: (N, 1, H, W); it gets no gradient here.
        iteration: From 0.
        plain_iterations: See :func:`local_domain_loss`.
    """
    local = local_domain_loss(target, TARGET, discrepancy.detach(), iteration, plain_iterations)
    return (domain_loss(source, SOURCE) + local) / 2


def weight_discrepancy(
    first: Iterable[Tensor], second: Iterable[Tensor], iteration: int, weight: float = 0.01, stop: int = _STOP
) -> Tensor:
    """weight * 2 * damping * (cosine of all parameters of the two classifiers + 1).

    Args:
        first: Parameters of one classifier, weights and biases, in the order of its layers.
        second: Those of the other.
        iteration: From 0.
        weight: Factor besides 2 and the damping.
        stop: See :func:`damping`.
    """
    one, other = (torch.cat([parameter.float().flatten() for parameter in own]) for own in (first, second))
    return weight * 2 * damping(iteration, stop) * (functional.cosine_similarity(one, other, dim=0) + 1)


@MODELS.register_module()
class CLAN(AdaptationMethod):
    """A discriminator on the probabilities of both classifiers' sum, told where they disagree; ``form="twin"``.

    Args:
        weight: Factor of the adversarial loss.
        discrepancy: Factor of :func:`weight_discrepancy`.
        stop: Iterations of the run, at the end of which both are damped to 0.
        plain_iterations: See :func:`local_domain_loss`.
        channels: Width of the discriminator's first layer.

    Source: Luo et al. 2019 and LoveDA's release.
    """

    discriminators = ("discriminator",)

    def __init__(
        self,
        weight: float = 0.001,
        discrepancy: float = 0.01,
        stop: int = _STOP,
        plain_iterations: int = _PLAIN,
        channels: int = 64,
    ) -> None:
        super().__init__()
        self.weight, self.discrepancy, self.stop = weight, discrepancy, stop
        self.plain_iterations, self.channels = plain_iterations, channels

    def setup(self, student: Student) -> None:
        """Check the head, and make the discriminator."""
        require_form(self, student, "twin")
        self.discriminator = FCDiscriminator(student.decode_head.num_classes, self.channels)

    def losses(self, student: Student, source: DomainBatch, target: DomainBatch, step: int) -> dict[str, Tensor]:
        """``loss_source``, ``loss_adversarial``, ``loss_weights`` and ``loss_discriminator``."""
        i, plain, labels = self.iteration, self.plain_iterations, labels_of(source)
        own = head_outputs(student, source.inputs, source.size)
        other = head_outputs(student, target.inputs, target.size)
        both, hidden = own["main"] + own["twin"], other["main"] + other["twin"]
        apart = discrepancy_map(other["main"], other["twin"])
        with frozen(self.discriminator):
            scores = scale_to_pixels(self.discriminator(hidden.softmax(1)), target.size)
        first, second = student.decode_head.conv_seg, student.decode_head.twin
        said = self.discriminator(both.detach().softmax(1)), self.discriminator(hidden.detach().softmax(1))
        local = scale_to_pixels(said[1], target.size)
        return {
            "loss_source": set_loss(own["main"], labels) + set_loss(own["twin"], labels),
            "loss_adversarial": adversarial_loss(scores, apart, i, self.weight, self.stop, plain),
            "loss_weights": weight_discrepancy(first.parameters(), second.parameters(), i, self.discrepancy, self.stop),
            "loss_discriminator": discriminator_loss(said[0], local, apart, i, plain),
            "accuracy_discriminator": discriminator_accuracy(*said).detach(),
            "discrepancy": apart.detach().mean(),
        }
