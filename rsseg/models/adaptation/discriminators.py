"""Networks that tell the domain of a map: fully convolutional on probabilities, class-wise on features."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["FCDiscriminator", "PixelDiscriminator"]

_SLOPE = 0.2


class FCDiscriminator(nn.Module):
    """Five 4x4 convolutions of stride 2 to one logit for every 32nd pixel; below 0 is source, above 0 target.

    Args:
        in_channels: C, the classes of the probabilities it sees.
        channels: Width of the first layer; those of the next three are 2, 4 and 8 times as wide.

    Source: Tsai et al., "AdaptSegNet", 2018, section 3.2; no normalisation, LeakyReLU of slope 0.2 between.
    """

    def __init__(self, in_channels: int, channels: int = 64) -> None:
        super().__init__()
        widths = [in_channels, *(channels * factor for factor in (1, 2, 4, 8)), 1]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(_SLOPE)]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, probabilities: Tensor) -> Tensor:
        """Logits (N, 1, H // 32, W // 32) of probabilities (N, C, H, W)."""
        return self.layers(probabilities)


class PixelDiscriminator(nn.Module):
    """3x3 convolutions to 2C logits for every place: C classes of the source, then C of the target.

    Args:
        in_channels: Channels of the features it sees.
        classes: C.
        channels: Widths of the two layers before.

    Source: Wang et al., "FADA", 2020, section 3.3 and its release.
    """

    def __init__(self, in_channels: int, classes: int, channels: tuple[int, int] = (512, 256)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((in_channels, *channels)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.LeakyReLU(_SLOPE)]
        self.layers = nn.Sequential(*layers)
        self.source = nn.Conv2d(channels[-1], classes, 3, padding=1)
        self.target = nn.Conv2d(channels[-1], classes, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, 2C, H, W) of features (N, in_channels, H, W)."""
        x = self.layers(features)
        return torch.cat([self.source(x), self.target(x)], 1)
