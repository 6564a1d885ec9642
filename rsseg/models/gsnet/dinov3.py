"""DINOv3 as the specialist of GSNet, in the place of DINO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.registry import MODELS

from rsseg.errors import ConfigError
from rsseg.models.backbones.dinov3 import DINOv3, dinov3_statistics
from rsseg.models.gsnet.clip import fit_image

__all__ = ["DINOv3Specialist"]

_CLIP = ((122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321579, 70.3231630))
"""Mean and standard deviation by which GSNet's images are normalised."""


@MODELS.register_module()
class DINOv3Specialist(DINOv3):
    """Three maps of a DINOv3 transformer for images that were normalised for CLIP.

    Args:
        name: Of timm with the tag, whose mean and standard deviation the weights were trained with.
        resolution: Side in pixels to which images are brought, a multiple of 16; 768 gives the grid of DINO ViT-B/8 at
            384 pixels.
        taps: Blocks, counted from 0, whose outputs are given, the last block at last.
        mean: By which the images were normalised, in grey levels.
        std: Likewise.
        tune: As for ``DINOv3``; the release trains no specialist.
        **kwargs: As for ``DINOv3``.

    Raises:
        ConfigError: ``resolution`` or ``taps`` is not allowed, or ``name`` has no tag; or as for ``DINOv3``.

    Source: ours; GSNet's release has DINO ViT-B/8, frozen, see :class:`rsseg.models.gsnet.dino.DINO`.
    """

    def __init__(
        self,
        name: str,
        resolution: int = 768,
        taps: Sequence[int] = (3, 7, 11),
        mean: Sequence[float] = _CLIP[0],
        std: Sequence[float] = _CLIP[1],
        tune: str = "frozen",
        **kwargs: Any,
    ) -> None:
        super().__init__(name, out_indices=taps, tune=tune, **kwargs)
        if self.in_channels != 3:
            raise ConfigError(f"{name}, in_channels={self.in_channels}: the specialist sees GSNet's images, of 3 bands")
        if self.patch is None or resolution % self.patch or len(taps) != 3:
            raise ConfigError(
                f"{name}, resolution={resolution}, taps={tuple(taps)}: the specialist is a transformer, its resolution "
                "a multiple of 16, and its taps are three"
            )
        self.resolution, self.grid, self.channels = resolution, resolution // self.patch, self.encoder.embed_dim
        own = dinov3_statistics(name)
        # x * std + mean are grey levels; they are normalised again by the weights' own
        scale = [seen / used for seen, used in zip(std, own[1], strict=True)]
        shift = [(seen - used) / by for seen, used, by in zip(mean, *own, strict=True)]
        self.register_buffer("scale", torch.tensor(scale).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("shift", torch.tensor(shift).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """For each tap (B, width, grid, grid) of images (B, 3, H, W) of any size, behind the last norm."""
        return super().forward(fit_image(images, self.resolution) * self.scale + self.shift)
