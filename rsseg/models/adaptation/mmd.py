"""MMD (deep domain confusion; "MCD" in OpenEarthMap): the two domains' image embeddings get the same mean."""

from __future__ import annotations

from mmseg.registry import MODELS
from torch import Tensor

from rsseg.errors import ConfigError
from rsseg.models.adaptation.method import AdaptationMethod, DomainBatch, Student
from rsseg.models.adaptation.networks import head_outputs, labels_of, require_form
from rsseg.models.multihead import set_loss

__all__ = ["MMD", "linear_mmd"]


def linear_mmd(source: Tensor, target: Tensor) -> Tensor:
    """Mean over all N * N entries of d d^T, where d is the difference of the embeddings, row by row.

    Args:
        source: (N, D) embeddings of source images.
        target: (N, D) embeddings of target images.

    Returns:
        Scalar, |sum of d over the images|^2 / N^2, so the order of the images does not matter; both get gradients.

    Raises:
        ConfigError: The numbers of images differ.

    Source: Tzeng et al., "Deep domain confusion", 2014, with a linear kernel; LoveDA's release.
    """
    if source.shape != target.shape:
        raise ConfigError(
            f"MMD compares images in pairs, but a batch has {len(source)} of the source and {len(target)} of the "
            "target; use the same number of both in every batch"
        )
    return (source.float() - target.float()).mean(0).square().sum()


@MODELS.register_module()
class MMD(AdaptationMethod):
    """Cross-entropy of the source, and :func:`linear_mmd` of the images' embeddings; ``form="mmd"`` of the head.

    Args:
        weight: Factor of the distance; 0.01 for rural and 0.25 for urban targets in LoveDA's release.
    """

    def __init__(self, weight: float = 0.01) -> None:
        super().__init__()
        self.weight = weight

    def setup(self, student: Student) -> None:
        """Check the head."""
        require_form(self, student, "mmd")

    def losses(self, student: Student, source: DomainBatch, target: DomainBatch, step: int) -> dict[str, Tensor]:
        """``loss_source`` and ``loss_mmd``."""
        own = head_outputs(student, source.inputs, source.size)
        other = head_outputs(student, target.inputs, target.size)
        return {
            "loss_source": set_loss(own["main"], labels_of(source)),
            "loss_mmd": self.weight * linear_mmd(own["embedding"], other["embedding"]),
        }
