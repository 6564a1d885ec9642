"""MIC: the student sees the target with blocks hidden, and shall say what the teacher says of all of it."""

from __future__ import annotations

from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor
from torch.nn import functional

from rsseg.models.adaptation.daformer import DAFormer, mean_cross_entropy
from rsseg.models.adaptation.method import DomainBatch, Student
from rsseg.models.adaptation.networks import full_logits

__all__ = ["MIC", "block_grid", "block_mask"]


def block_grid(size: tuple[int, int], block: int = 64) -> tuple[int, int]:
    """Rows and columns of blocks for an image (H, W), rounded to the nearest, at least 1."""
    height, width = (max(round(side / block), 1) for side in size)
    return height, width


def block_mask(draws: Tensor, size: tuple[int, int], ratio: float = 0.7) -> Tensor:
    """What stays visible: blocks whose draw is above ``ratio``.

    Args:
        draws: (N, 1, rows, columns) uniform in 0 .. 1, for the blocks of :func:`block_grid`.
        size: (H, W) of the images.
        ratio: Share of the blocks that is hidden, on average.

    Returns:
        (N, 1, H, W) float32, 1 where the image is visible and 0 where it is hidden.

    Source: Hoyer et al., "MIC", 2023, equation 5.
    """
    return functional.interpolate((draws > ratio).to(torch.float32), size=size, mode="nearest")


@MODELS.register_module()
class MIC(DAFormer):
    """DAFormer, and a loss of the target image with blocks hidden, against the teacher's labels of the whole image.

    Args:
        masked: Factor of that loss.
        ratio: Share of the blocks that is hidden, on average.
        block: Side of the blocks in pixels.
        **kwargs: As for :class:`DAFormer`.

    Source: Hoyer et al. 2023, section 3.2, and its release.
    """

    def __init__(self, masked: float = 1.0, ratio: float = 0.7, block: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.masked, self.ratio, self.block = masked, ratio, block

    def more_losses(self, student: Student, target: DomainBatch, pseudo: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """``loss_masked``."""
        images = self._augment(student, target.inputs, self._coins())
        draws = torch.rand(len(target), 1, *block_grid(target.size, self.block), generator=self.generator)
        images = images * block_mask(draws, target.size, self.ratio).to(images.device)
        logits = full_logits(student, DomainBatch(images, target.samples))
        return {"loss_masked": self.masked * mean_cross_entropy(logits, pseudo, weights)}
