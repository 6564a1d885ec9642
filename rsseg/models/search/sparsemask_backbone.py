"""MobileNetV2 as SparseMask taps it: nine maps, from that of the stem to that of the last convolution."""

from __future__ import annotations

from typing import Any

import torch
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

from rsseg.models.search.widths import round_channels

__all__ = ["SparseMaskMobileNet", "tap_channels"]

_GROUPS = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
"""Channels, bottlenecks and stride of each group."""
_STEM, _LAST, _EXPANSION = 32, 1280, 6


def tap_channels(width: float = 1.0) -> list[int]:
    """Channels of the nine maps, finest first.

    Args:
        width: Factor of the channels; the last map keeps its 1280 where it is at most 1.
    """
    channels = [round_channels(c * width, 8) for c in (_STEM, *(row[0] for row in _GROUPS))]
    return [*channels, _LAST if width <= 1 else round_channels(_LAST * width, 8)]


class _Bottleneck(nn.Module):
    """1x1 to more channels, 3x3 on each channel by itself, linear 1x1; added to the input where the shape stays."""

    def __init__(self, before: int, after: int, stride: int, expansion: int, norm_cfg: dict[str, Any]) -> None:
        super().__init__()
        inner = before * expansion
        self.conv1 = nn.Conv2d(before, inner, 1, bias=False)
        self.bn1 = build_norm_layer(norm_cfg, inner)[1]
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False)
        self.bn2 = build_norm_layer(norm_cfg, inner)[1]
        self.conv3 = nn.Conv2d(inner, after, 1, bias=False)
        self.bn3 = build_norm_layer(norm_cfg, after)[1]
        self.shortcut = stride == 1 and before == after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = functional.relu6(self.bn1(self.conv1(x)))
        out = functional.relu6(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return out + x if self.shortcut else out


@MODELS.register_module()
class SparseMaskMobileNet(BaseModule):
    """MobileNetV2 without classifier, whose maps are given at the stem, each of the seven groups and the end.

    2,224,960 parameters.  The first bottleneck has its first 1x1 convolution although it adds no channels, as in
    SparseMask's release: 1,088 parameters more than in torchvision and mmpretrain.  ``rsseg weights`` fits their files.

    Args:
        in_channels: Bands.
        width: Factor of all channels but the last 1280.
        norm_cfg: Normalisation; with ``requires_grad=False`` scale and offset stay as they are, as in the search.
        init_cfg: As for mmengine's ``BaseModule``.

    Source: Wu et al., "SparseMask", 2019, and its release.
    """

    def __init__(
        self,
        in_channels: int = 3,
        width: float = 1.0,
        norm_cfg: dict[str, Any] | None = None,
        init_cfg: Any = (dict(type="Kaiming", layer="Conv2d"), dict(type="Constant", layer="_BatchNorm", val=1)),
    ) -> None:
        super().__init__(init_cfg=list(init_cfg) if isinstance(init_cfg, tuple) else init_cfg)
        norm = norm_cfg or dict(type="BN", momentum=0.0003)
        self.channels = tap_channels(width)
        self.conv1 = nn.Conv2d(in_channels, self.channels[0], 3, 2, 1, bias=False)
        self.bn1 = build_norm_layer(norm, self.channels[0])[1]
        self.bottlenecks = nn.Sequential()
        for i, (_, count, stride) in enumerate(_GROUPS):
            before, after = self.channels[i : i + 2]
            group = nn.Sequential()
            for j in range(count):
                own = (after if j else before, after, 1 if j else stride, _EXPANSION if i or j else 1)
                group.add_module(f"LinearBottleneck{i}_{j}", _Bottleneck(*own, norm))
            self.bottlenecks.add_module(f"Bottlenecks_{i}", group)
        self.conv_last = nn.Conv2d(self.channels[-2], self.channels[-1], 1, bias=False)
        self.bn_last = build_norm_layer(norm, self.channels[-1])[1]

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Nine maps of images (N, in_channels, H, W) at strides 2, 2, 4, 8, 16, 16, 32, 32, 32, all linear."""
        x = self.bn1(self.conv1(x))
        maps = [x]
        x = functional.relu6(x)
        for group in self.bottlenecks:
            x = group(x)
            maps.append(x)
        return (*maps, self.bn_last(self.conv_last(x)))
