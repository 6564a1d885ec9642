"""MIC: the student sees the target with blocks hidden, and shall say what the teacher says of all of it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["block_grid", "block_mask"]


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
