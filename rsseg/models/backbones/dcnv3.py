"""DCNv3, the deformable convolution of InternImage, in plain PyTorch.

Axes: N images, H x W positions, G groups of C / G channels, P = 9 sampling points of the 3x3 kernel.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError

__all__ = ["ChannelsLast", "DCNv3", "deform_conv"]

_KERNEL_POINTS = [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)]


class ChannelsLast(nn.Module):
    """(N, C, H, W) to (N, H, W, C)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same values with the channels as the last axis."""
        return x.permute(0, 2, 3, 1)


def deform_conv(values: torch.Tensor, offsets: torch.Tensor, weights: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    """Weighted sum of nine bilinear samples around each position; zero outside of the map.

    Args:
        values: (N, H, W, C), C a multiple of G.
        offsets: (N, H, W, G, P, 2) shifts x, y of the points in pixels.  Points are numbered column by column:
            (-1, -1), (-1, 0), (-1, 1), (0, -1) ... as x, y.
        weights: (N, H, W, G, P), any range (DCNv3 gives softmax over P).
        scale: Factor on the kernel's spacing and on the offsets.

    Returns:
        (N, H, W, C) in the dtype of ``values``.  Coordinates and sums are float32 (or wider), also under autocast:
        bfloat16 cannot tell neighbouring pixels apart beyond 256.

    Source: InternImage paper, equation 2.  Cost: memory for nine times the map, which the compiled operator does not
    need.
    """
    n, height, width, channels = values.shape
    groups = weights.shape[3]
    wide = torch.promote_types(values.dtype, torch.float32)
    maps = values.to(wide).reshape(n, height, width, groups, -1).permute(0, 3, 4, 1, 2).flatten(0, 1)
    y = torch.arange(height, device=values.device, dtype=wide)
    x = torch.arange(width, device=values.device, dtype=wide)
    centre = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], -1)[:, :, None, None]
    size = centre.new_tensor([width, height])
    kernel = (2 * (centre + scale * centre.new_tensor(_KERNEL_POINTS)) + 1) / size - 1
    places = kernel + offsets.to(wide) * (2 * scale / size)
    grid = places.permute(0, 3, 1, 2, 4, 5).reshape(n * groups, height * width, -1, 2)
    share = weights.to(wide).permute(0, 3, 1, 2, 4).reshape(n * groups, 1, height * width, -1)
    total = (functional.grid_sample(maps, grid, align_corners=False) * share).sum(-1)
    return total.reshape(n, channels, height, width).permute(0, 2, 3, 1).to(values.dtype)


class DCNv3(nn.Module):
    """Deformable convolution whose offsets and weights come from a depthwise convolution of its input.

    Args:
        channels: Channels in and out.
        groups: Each has its own nine points.
        offset_scale: See :func:`deform_conv`.

    Raises:
        ConfigError: The groups do not divide the channels.

    Source: InternImage paper, section 3.1.  Parameter names are those of the published weights.
    """

    def __init__(self, channels: int, groups: int, offset_scale: float = 1.0) -> None:
        super().__init__()
        if channels % groups:
            raise ConfigError(f"{channels} channels must be divisible by {groups} groups")
        self.groups = groups
        self.offset_scale = offset_scale
        self.dw_conv = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            nn.Sequential(ChannelsLast(), nn.LayerNorm(channels, eps=1e-6)),
            nn.GELU(),
        )
        self.offset = nn.Linear(channels, groups * len(_KERNEL_POINTS) * 2)
        self.mask = nn.Linear(channels, groups * len(_KERNEL_POINTS))
        self.input_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """No offsets and equal weights, so that training starts with a plain 3x3 mean of each channel."""
        for layer in (self.offset, self.mask):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        for layer in (self.input_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (N, H, W, C) to maps of the same shape."""
        shape = (*x.shape[:3], self.groups, len(_KERNEL_POINTS))
        guide = self.dw_conv(x.permute(0, 3, 1, 2))
        offsets = self.offset(guide).reshape(*shape, 2)
        weights = self.mask(guide).reshape(shape).softmax(-1)
        return self.output_proj(deform_conv(self.input_proj(x), offsets, weights, self.offset_scale))
