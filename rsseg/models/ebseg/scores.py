"""EBSeg's arithmetic: three ways of naming a mask made one, classes seen in training, and a loss of structure.

Shapes: Q queries, N classes, E channels of the joint space.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

from rsseg.models.mask2former.losses import ClassMasks, Pairs

__all__ = ["Exponents", "fuse_scores", "seen_classes", "structure_loss"]

_TINY = 1e-8


class Exponents(NamedTuple):
    """How the three probabilities of a class are weighed; the defaults are those of ViT-B/16.

    Source: EBSeg release.
    """

    alpha: float = 0.09
    """Of what CLIP sees within the mask, for classes that were seen in training."""
    beta: float = 0.3
    """The same for new classes."""
    gamma: float = 0.7
    """Of CLIP's class token with the mask as attention, for all classes."""

    def of(self, new: bool, release: bool) -> tuple[float, float, float]:
        """Exponents of the decoder's own, the pooled and the recognised probability.

        Args:
            new: For classes that were not seen in training.
            release: As released, where the decoder's own has no say in new classes (the default values give it 0);
                else it keeps its part of a seen class there too, and the other two share the rest in their proportion.
        """
        own = 1 - self.alpha - self.gamma
        if not new:
            return own, self.alpha, self.gamma
        if release:
            return 1 - self.beta - self.gamma, self.beta, self.gamma
        share = (1 - own) / (self.beta + self.gamma)
        return own, share * self.beta, share * self.gamma


def seen_classes(names: Iterable[str], known: Iterable[str]) -> torch.Tensor:
    """Which classes share a name with those of training.

    Args:
        names: Of the classes asked for; synonyms are separated by commas.
        known: Of the classes of training, likewise.

    Returns:
        (N,) bool; letters' case does not matter.
    """
    words = {word for name in known for word in _words(name)}
    return torch.tensor([not words.isdisjoint(_words(name)) for name in names], dtype=torch.bool)


def _words(name: str) -> set[str]:
    return {word.strip().lower() for word in name.split(",")} - {""}


def fuse_scores(
    own: torch.Tensor,
    pooled: torch.Tensor,
    recognised: torch.Tensor,
    seen: torch.Tensor,
    exponents: Exponents = Exponents(),  # noqa: B008  (it cannot be changed)
    release: bool = False,
) -> torch.Tensor:
    """Probabilities of the classes of each mask.

    Args:
        own: (..., Q, N + 1) float32 logits of the decoder, the last for "none".
        pooled: The same, of CLIP's features within the mask.
        recognised: The same, of CLIP's class token.
        seen: (N,) bool, see :func:`seen_classes`.
        exponents: See there.
        release: See :meth:`Exponents.of`.

    Returns:
        (..., Q, N), whose sum is below 1 by the decoder's probability of "none".

    Source: EBSeg release.
    """
    void = own.softmax(-1)[..., -1:]
    parts = [logits[..., :-1].softmax(-1) for logits in (own, pooled, recognised)]
    logs = []
    for new in (False, True):
        a, b, c = (part**power for part, power in zip(parts, exponents.of(new, release), strict=True))
        logs.append((_TINY + a * b * c).log())
    classes = torch.where(seen.to(own.device), logs[0], logs[1]).softmax(-1) * (1 - void)
    return (torch.cat([classes, void], -1) + _TINY).log().softmax(-1)[..., :-1]


def structure_loss(
    embeddings: torch.Tensor,
    text: torch.Tensor,
    targets: Sequence[ClassMasks],
    pairs: Pairs,
    release: bool = False,
) -> torch.Tensor:
    """How far apart the likeness of matched queries is from that of their classes' texts, a scalar.

    Args:
        embeddings: (B, Q, E) of the queries.
        text: (N, E) of the classes, of length 1.
        targets: One for each image.
        pairs: Who has which class.
        release: An image without a class makes the loss of the whole batch 0, as in the release; else its own only.

    Returns:
        The mean over images of the mean squared difference of all pairs of an image, also of a query with itself.

    Source: EBSeg paper, section 3.4, and release.
    """
    parts = []
    for own, target, (queries, classes) in zip(embeddings, targets, pairs, strict=True):
        matched, names = own[queries], text[target.labels[classes]]
        difference = matched @ matched.T - names @ names.T
        parts.append(difference.square().sum() / max(difference.numel(), 1))
    total = torch.stack(parts).mean()
    return total * 0.0 if release and any(len(queries) == 0 for queries, _ in pairs) else total
