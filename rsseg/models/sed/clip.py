"""CLIP whose tower for images is a ConvNeXt: maps of four resolutions, and the joint space at each place."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import nn

from rsseg.errors import ConfigError
from rsseg.models.gsnet.clip import TextTower

__all__ = ["ConvNeXtCLIP"]

_STRIDE = 32
_VISUAL = dict(depths=(3, 3, 27, 3), dims=(128, 256, 512, 1024), drop_path=0.1)
_TEXT = dict(width=640, heads=10)


class _Visual(nn.Module):
    """timm's ConvNeXt, and a projection of each place; the names are open_clip's."""

    def __init__(self, depths: Sequence[int], dims: Sequence[int], drop_path: float, embed: int) -> None:
        super().__init__()
        from timm.models.convnext import ConvNeXt

        self.trunk: Any = ConvNeXt(
            depths=tuple(depths), dims=tuple(dims), drop_path_rate=drop_path, num_classes=0, global_pool=""
        )
        self.head = nn.Sequential(OrderedDict(proj=nn.Linear(dims[-1], embed, bias=False)))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        x, maps = self.trunk.stem(images), []
        for stage in self.trunk.stages:
            x = stage(x)
            maps.append(x)
        places = self.trunk.head.norm(self.trunk.norm_pre(x)).permute(0, 2, 3, 1)
        return self.head(places).permute(0, 3, 1, 2), maps


@MODELS.register_module()
class ConvNeXtCLIP(TextTower):
    """CLIP with a ConvNeXt for images of any size; the defaults are open_clip's ``convnext_base_w_320``.

    What pools an image is left out: each place is normed and projected by itself.

    Args:
        visual: What differs from ``depths=(3, 3, 27, 3), dims=(128, 256, 512, 1024), drop_path=0.1``.
        text: What differs in the tower for texts from ``width=640, layers=12, heads=10, vocabulary=49408, context=77``.
        embed: Channels that both towers end in.
        resolution: Side in pixels to which images are brought, a multiple of 32.
        weights: File to start from, as for :class:`rsseg.models.gsnet.CLIP`.

    Raises:
        ConfigError: ``resolution`` is no multiple of 32.
        ImportError: timm is not installed.

    Source: open_clip (names, sizes, drop path); SED release (places, ``resolution``).
    """

    def __init__(
        self,
        visual: Mapping[str, Any] | None = None,
        text: Mapping[str, int] | None = None,
        embed: int = 640,
        resolution: int = 768,
        weights: str | Sequence[str] | None = None,
    ) -> None:
        if resolution % _STRIDE or resolution <= 0:
            raise ConfigError(f"resolution={resolution}: expected a multiple of {_STRIDE} pixels")
        seen = {**_VISUAL, **(visual or {})}
        super().__init__(_Visual(**seen, embed=embed), {**_TEXT, **(text or {})}, embed, "gelu", weights)
        self.resolution = resolution
        self.channels: tuple[int, ...] = tuple(seen["dims"])

    def encode_image(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Features of images.

        Args:
            images: (B, 3, H, W), normalised; sides are multiples of 32.

        Returns:
            (B, embed, H / 32, W / 32), not normalised, and what the four stages give, finest first: (B, dims[i], h, w)
            at strides 4, 8, 16 and 32.
        """
        return self.visual(images)

    def fit(self, images: torch.Tensor, keep_ratio: bool) -> tuple[int, int]:
        """Rows and columns that images (B, 3, H, W) are brought to.

        Args:
            images: Of any size.
            keep_ratio: The longer side gets ``resolution``, the other the nearest multiple of 32; else both get it.
        """
        side, (height, width) = self.resolution, images.shape[2:]
        if not keep_ratio:
            return side, side
        rows, columns = (
            max(round(length * side / max(height, width) / _STRIDE), 1) * _STRIDE for length in (height, width)
        )
        return rows, columns
