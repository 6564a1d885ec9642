"""Encoders of U-Nets: backbones of mmseg and mmpretrain that also give the map at stride 2.

Importing this needs mmpretrain; only configs with `../_base_/default_runtime_mmpretrain.py` do.
"""

from __future__ import annotations

from typing import Any

import torch
from mmseg.models.backbones import ResNet
from mmseg.registry import MODELS

from rsseg.stack import require_pretraining

require_pretraining()

from mmpretrain.models.backbones import VGG, EfficientNet  # noqa: E402

__all__ = ["UNetEfficientNet", "UNetResNet", "UNetVGG"]


@MODELS.register_module()
class UNetResNet(ResNet):
    """mmseg's ResNet with the stem's map (stride 2, before its pooling) in front of those of the four stages.

    Args:
        **kwargs: As for mmseg's ``ResNet``; its stem is the plain one (``deep_stem=False``).
    """

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Maps (N, C, H, W) at strides 2, 4, 8, 16 and 32 of images (N, 3, H, W)."""
        maps = [self.relu(self.norm1(self.conv1(x)))]
        x = self.maxpool(maps[0])
        for name in self.res_layers:
            x = getattr(self, name)(x)
            maps.append(x)
        return tuple(maps)


@MODELS.register_module()
class UNetVGG(VGG):
    """mmpretrain's VGG with each stage's map as it is before the pooling, and the last one after it.

    Args:
        **kwargs: As for mmpretrain's ``VGG``.
    """

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Maps (N, C, H, W) at strides 2, 4, 8, 16 and 32 of images (N, 3, H, W); the one of stride 1 is left out."""
        maps = []
        for begin, end in self.range_sub_modules:
            *convolutions, pooling = self.features[begin:end]
            for layer in convolutions:
                x = layer(x)
            maps.append(x)
            x = pooling(x)
        return (*maps[1:], x)


@MODELS.register_module()
class UNetEfficientNet(EfficientNet):
    """mmpretrain's EfficientNet with the maps at strides 2 to 32, without its last convolution.

    That one only serves classification; DDP would wait for its gradients.

    Args:
        **kwargs: As for mmpretrain's ``EfficientNet`` (``arch`` of the family ``b``).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(out_indices=(0, 2, 3, 4, 5), **kwargs)
        del self.layers[-1]
