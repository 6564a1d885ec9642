"""What lies between the towers' features and the decoder: every map is brought to its stage's grid and width."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from rsseg.errors import ConfigError

__all__ = ["StreamProjections", "scaling"]


def scaling(channels: int, out: int, grid: int, target: int) -> nn.Module:
    """A learned change of width and grid: convolution where the grid shrinks or stays, transposed where it grows.

    Args:
        channels: Channels before.
        out: Channels after.
        grid: Places along a side before.
        target: Places along a side after.

    Raises:
        ConfigError: Neither number of places divides the other.
    """
    if max(grid, target) % min(grid, target):
        raise ConfigError(
            f"a grid of {grid} x {grid} positions cannot be resized to {target} x {target} by an integer factor"
        )
    factor = max(grid, target) // min(grid, target)
    make = nn.Conv2d if grid >= target else nn.ConvTranspose2d
    return make(channels, out, factor, stride=factor)


class StreamProjections(nn.Module):
    """Guidance maps of both streams at twice and four times the coarse grid, and the specialist's map on it.

    Args:
        grid: Places along a side of CLIP's token grid, which is the coarse grid.
        width: Channels of CLIP's intermediate features.
        embed: Channels of CLIP's joint space.
        dino_grid: Places along a side of the specialist's token grid; None where there is no specialist.
        dino_width: Channels of the specialist's features.
        channels: Channels of the guidance maps of the two stages.
        guidance: Streams that the decoder takes guidance of; what it does not take is not there.

    Source: GSNet release; names of parameters are the release's.  On ViT-B/16 and ViT-B/8 at 384 the factors are its
    own (2, 4 for CLIP; 1, 2 and 1/2 for DINO), other towers follow the same rule.
    """

    def __init__(
        self,
        grid: int,
        width: int,
        embed: int,
        dino_grid: int | None = None,
        dino_width: int = 768,
        channels: Sequence[int] = (256, 128),
        guidance: Sequence[str] = ("clip", "dino"),
    ) -> None:
        super().__init__()
        self.guidance = tuple(guidance)
        if "clip" in guidance:
            self.upsample1 = scaling(width, channels[0], grid, 2 * grid)
            self.upsample2 = scaling(width, channels[1], grid, 4 * grid)
        if dino_grid is None:
            return
        if "dino" in guidance:
            self.dino_decod_proj1 = scaling(dino_width, channels[0], dino_grid, 2 * grid)
            self.dino_decod_proj2 = scaling(dino_width, channels[1], dino_grid, 4 * grid)
        self.dino_down_sample = scaling(dino_width, embed, dino_grid, grid)

    def clip(self, taps: Sequence[torch.Tensor]) -> list[torch.Tensor] | None:
        """CLIP's guidance maps of the two stages; None where the decoder takes none.

        Args:
            taps: Two maps (B, width, grid, grid).
        """
        return [self.upsample1(taps[0]), self.upsample2(taps[1])] if "clip" in self.guidance else None

    def dino(self, taps: Sequence[torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor] | None]:
        """The specialist's map (B, embed, grid, grid) and its guidance maps of the two stages.

        Args:
            taps: Three maps (B, dino_width, dino_grid, dino_grid); the last is the tower's output.
        """
        maps = [self.dino_decod_proj1(taps[0]), self.dino_decod_proj2(taps[1])] if "dino" in self.guidance else None
        return self.dino_down_sample(taps[2]), maps
