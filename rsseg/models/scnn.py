"""S-CNN: the shallow network of BigEarthNet's paper, three convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError

__all__ = ["SCNN"]


@MODELS.register_module()
class SCNN(BaseModule):
    """Three convolutions with ReLU, padded with zeros, and a 2 x 2 max-pooling between each two.

    With 120 x 120 pixels the last map has 30 x 30 places of 64 channels; the head's two layers follow.  For
    segmentation, ``out_indices=(0, 1, 2)`` gives the maps at strides 1, 2 and 4.

    Args:
        in_channels: Bands.
        channels: Filters of each convolution.
        kernels: Side of the filters of each convolution, odd.
        out_indices: Convolutions whose maps are given.
        init_cfg: As for mmengine's ``BaseModule``.

    Source: section 4 of the paper (32, 32 and 64 filters of 5 x 5, 5 x 5 and 3 x 3, zero padding, max-pooling between
    layers); two poolings as in the same authors' K-Branch CNN.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: Sequence[int] = (32, 32, 64),
        kernels: Sequence[int] = (5, 5, 3),
        out_indices: Sequence[int] = (2,),
        init_cfg: Any = (dict(type="Kaiming", layer="Conv2d"),),
    ) -> None:
        super().__init__(init_cfg=list(init_cfg) if isinstance(init_cfg, tuple) else init_cfg)
        if len(kernels) != len(channels) or not all(0 <= i < len(channels) for i in out_indices):
            raise ConfigError(
                f"kernels={kernels} and out_indices={out_indices} do not match {len(channels)} convolutions"
            )
        self.out_indices = tuple(out_indices)
        widths = [in_channels, *channels[:-1]]
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, side, padding=side // 2)
            for before, after, side in zip(widths, channels, kernels, strict=True)
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Maps (N, channels[i], H / 2^i, W / 2^i) of images (N, in_channels, H, W), one for each of ``out_indices``."""
        maps = []
        for i, conv in enumerate(self.convs[: max(self.out_indices) + 1]):
            x = functional.relu(conv(functional.max_pool2d(x, 2) if i else x))
            if i in self.out_indices:
                maps.append(x)
        return tuple(maps)
