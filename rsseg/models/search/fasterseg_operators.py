"""FasterSeg's five operators, each for one width, or slimmable for several.

Shapes: maps (N, C, H, W).  Operators of stride 2 halve H and W, which must be even for the skip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.models.search.widths import round_channels

__all__ = ["OPERATORS", "ConvNorm", "Slimmable", "build_operator", "pad_to_32", "scale_map"]

OPERATORS = ("skip", "conv", "conv_downup", "conv_2x", "conv_2x_downup")
"""Names of the operators by their ids."""


def scale_map(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """A map scaled to (H, W), bilinear, corner to corner."""
    return functional.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)


def pad_to_32(x: torch.Tensor, value: float | None = None) -> torch.Tensor:
    """Images (N, C, H, W) or labels (N, H, W) that end at the right and below so that 32 divides H and W.

    Args:
        x: Images or labels; those of a fitting size are given back as they are.
        value: What is added; None repeats the images' last column and row.
    """
    height, width = x.shape[-2:]
    added = (0, -width % 32, 0, -height % 32)
    if not any(added):
        return x
    return functional.pad(x, added, mode="replicate") if value is None else functional.pad(x, added, value=value)


class _SlimConv(nn.Conv2d):
    """A convolution whose first channels are used, as many as the input has and the width asks for."""

    width: float = 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight[: round_channels(self.out_channels * self.width), : x.shape[1]]
        return functional.conv2d(x, weight, None, self.stride, self.padding)


class _SlimNorm(nn.Module):
    """A batch normalisation for each width.

    ``weight`` and ``bias`` are used by nothing; the release has them, and they are part of its number of parameters.
    """

    width: float = 1.0

    def __init__(self, channels: int, widths: Sequence[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(channels), requires_grad=False)
        self.widths = list(widths)
        self.bn = nn.ModuleList(nn.BatchNorm2d(round_channels(channels * width)) for width in widths)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn[self.widths.index(self.width)](x)


class Slimmable:
    """Makes slimmable layers, whose width is set before each use.

    Args:
        widths: Shares of the channels that the layers can have.
    """

    def __init__(self, widths: Sequence[float]) -> None:
        self.widths = tuple(widths)

    def conv(self, before: int, after: int, side: int, stride: int) -> nn.Conv2d:
        """A convolution without offsets, padded so that stride 1 keeps the size."""
        return _SlimConv(before, after, side, stride, side // 2, bias=False)

    def norm(self, channels: int) -> nn.Module:
        """A normalisation for each width."""
        return _SlimNorm(channels, self.widths)

    @staticmethod
    def set_width(operator: nn.Module, width: float) -> None:
        """Let an operator give this share of its channels from now on."""
        for part in operator.modules():
            if isinstance(part, (_SlimConv, _SlimNorm)):
                part.width = width


class _Plain:
    """Makes layers of one width."""

    @staticmethod
    def conv(before: int, after: int, side: int, stride: int) -> nn.Conv2d:
        return nn.Conv2d(before, after, side, stride, side // 2, bias=False)

    @staticmethod
    def norm(channels: int) -> nn.Module:
        return nn.BatchNorm2d(channels)


class ConvNorm(nn.Module):
    """Convolution, normalisation, ReLU."""

    def __init__(self, before: int, after: int, side: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Sequential(_Plain.conv(before, after, side, stride), _Plain.norm(after), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, after, H / stride, W / stride)."""
        return self.conv(x)


class _Skip(nn.Module):
    """1x1 convolutions; of stride 2 two, of which the second sees the input moved by a pixel, for half the channels."""

    def __init__(self, before: int, after: int, stride: int, make: Slimmable | _Plain) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = make.conv(before, after // stride, 1, stride)
        if stride == 2:
            self.conv2 = make.conv(before, after // 2, 1, 2)
        self.bn = make.norm(after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = [self.conv1(x), self.conv2(x[:, :, 1:, 1:])] if self.stride == 2 else [self.conv1(x)]
        return functional.relu(self.bn(torch.cat(maps, 1)))


class _Convs(nn.Module):
    """One or two 3x3 convolutions, at half the size where ``halved``."""

    def __init__(
        self, before: int, after: int, stride: int, make: Slimmable | _Plain, count: int, halved: bool
    ) -> None:
        super().__init__()
        self.restored, self.halved = halved and stride == 1, halved
        self.conv1 = make.conv(before, after, 3, 1 if halved else stride)
        self.bn1 = make.norm(after)
        if count == 2:
            self.conv2 = make.conv(after, after, 3, 1)
            self.bn2 = make.norm(after)
        self.count = count

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = x.shape[2:]
        out = scale_map(x, [max(side // 2, 1) for side in size]) if self.halved else x
        out = self.bn1(self.conv1(out))
        if self.count == 2:
            out = self.bn2(self.conv2(functional.relu(out)))
        return functional.relu(scale_map(out, size) if self.restored else out)


def build_operator(op: int, before: int, after: int, stride: int = 1, slimmable: Slimmable | None = None) -> nn.Module:
    """An operator.

    Args:
        op: Its id, see :data:`OPERATORS`.
        before: Channels of the input.
        after: Channels of the output.
        stride: 1 or 2.
        slimmable: Makes the layers; None for those of one width, where a skip of stride 1 is nothing.

    Raises:
        ConfigError: There is no such operator, or a skip would have to change the channels.
    """
    if not 0 <= op < len(OPERATORS):
        raise ConfigError(f"FasterSeg has operators 0 .. {len(OPERATORS) - 1}, got {op}")
    make = slimmable or _Plain()
    if op == 0:
        if stride == 1 and slimmable is None:
            if before != after:
                raise ConfigError(f"a skip of stride 1 keeps the channels, but {before} shall become {after}")
            return nn.Identity()
        return _Skip(before, after, stride, make)
    builders: dict[int, Callable[[], nn.Module]] = {
        1: lambda: _Convs(before, after, stride, make, 1, False),
        2: lambda: _Convs(before, after, stride, make, 1, True),
        3: lambda: _Convs(before, after, stride, make, 2, False),
        4: lambda: _Convs(before, after, stride, make, 2, True),
    }
    return builders[op]()
