"""Deformable attention over maps of several resolutions, in plain PyTorch.

Axes: N images, Q queries, K = sum of h * w keys of all levels, heads, levels, points, x and y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError

__all__ = ["DeformableAttention", "pixel_centres", "sample_levels"]


def pixel_centres(sizes: Sequence[tuple[int, int]], device: torch.device | None = None) -> torch.Tensor:
    """Where the pixels of maps of sizes (h, w) are: (sum of h * w, 2) float32, x and y from 0 to 1, row by row."""
    out = []
    for height, width in sizes:
        y = (torch.arange(height, device=device) + 0.5) / height
        x = (torch.arange(width, device=device) + 0.5) / width
        out.append(torch.stack([x.expand(height, width), y[:, None].expand(height, width)], -1).flatten(0, 1))
    return torch.cat(out)


def sample_levels(
    values: torch.Tensor, sizes: Sequence[tuple[int, int]], places: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Weighted sum of bilinear samples, over the points of all levels; zero outside of a map.

    Args:
        values: (N, K, heads, C) of all maps, one after the other, row by row.
        sizes: (h, w) of each map.
        places: (N, Q, heads, levels, points, 2) x and y; 0 and 1 are the outer borders of a map.
        weights: (N, Q, heads, levels, points).

    Returns:
        (N, Q, heads * C) in the dtype of ``values``.  Coordinates and sums are float32 (or wider), also under autocast.

    Source: Deformable DETR, equation 3.  Cost: memory for levels * points times the queries, which the compiled
    operator does not need.
    """
    n, queries, heads, _, points, _ = places.shape
    wide = torch.promote_types(values.dtype, torch.float32)
    grids = (2 * places.to(wide) - 1).permute(3, 0, 2, 1, 4, 5).flatten(1, 2)
    shares = weights.to(wide).permute(3, 0, 2, 1, 4).reshape(len(sizes), n * heads, 1, queries, points)
    levels = values.to(wide).split([height * width for height, width in sizes], 1)
    total = values.new_zeros((), dtype=wide)
    for level, size, grid, share in zip(levels, sizes, grids, shares, strict=True):
        maps = level.permute(0, 2, 3, 1).flatten(0, 1).unflatten(2, size)
        total = total + (functional.grid_sample(maps, grid, align_corners=False) * share).sum(-1)
    return total.unflatten(0, (n, heads)).flatten(1, 2).transpose(1, 2).to(values.dtype)


class DeformableAttention(nn.Module):
    """Each query reads a few points around its own place in each map, where and how much it says itself.

    Args:
        dim: Channels of queries and keys.
        heads: Attention heads.
        levels: Number of maps.
        points: Points of each head in each map.
        value_ratio: Channels of the values over ``dim``.

    Raises:
        ConfigError: The heads do not divide the channels of the values.

    Source: Deformable DETR, section 4.1 (and its start: head i looks to direction i, point j is j + 1 pixels away).
    Parameter names are those of the public code.
    """

    def __init__(self, dim: int, heads: int, levels: int, points: int = 4, value_ratio: float = 1.0) -> None:
        super().__init__()
        inner = int(dim * value_ratio)
        if inner % heads:
            raise ConfigError(f"{inner} channels must be divisible by {heads} heads")
        self.shape = (heads, levels, points)
        self.sampling_offsets = nn.Linear(dim, heads * levels * points * 2)
        self.attention_weights = nn.Linear(dim, heads * levels * points)
        self.value_proj = nn.Linear(dim, inner)
        self.output_proj = nn.Linear(inner, dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The start of Deformable DETR: equal weights, offsets that do not depend on the query."""
        heads, levels, points = self.shape
        for layer in (self.sampling_offsets, self.attention_weights, self.value_proj, self.output_proj):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.xavier_uniform_(self.value_proj.weight)
        nn.init.xavier_uniform_(self.output_proj.weight)
        angles = torch.arange(heads) * (2 * math.pi / heads)
        directions = torch.stack([angles.cos(), angles.sin()], -1)
        directions = directions / directions.abs().amax(-1, keepdim=True)
        distances = torch.arange(1.0, points + 1).view(points, 1)
        offsets = (directions.view(heads, 1, 1, 2) * distances).expand(heads, levels, points, 2)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(offsets.flatten())

    def forward(
        self, queries: torch.Tensor, places: torch.Tensor, values: torch.Tensor, sizes: Sequence[tuple[int, int]]
    ) -> torch.Tensor:
        """What the queries read.

        Args:
            queries: (N, Q, dim).
            places: (Q, 2) x and y of the queries, 0 and 1 are the outer borders of the maps.
            values: (N, K, dim) of all maps, one after the other, row by row.
            sizes: (h, w) of each map.

        Returns:
            (N, Q, dim).
        """
        heads = self.shape[0]
        offsets = self.sampling_offsets(queries).unflatten(2, (*self.shape, 2))
        weights = self.attention_weights(queries).unflatten(2, (heads, -1)).softmax(-1).unflatten(3, self.shape[1:])
        wide = torch.promote_types(offsets.dtype, torch.float32)
        pixels = torch.tensor([(w, h) for h, w in sizes], dtype=wide, device=queries.device)[:, None]
        where = places[:, None, None, None] + offsets.to(wide) / pixels
        read = sample_levels(self.value_proj(values).unflatten(2, (heads, -1)), sizes, where, weights)
        return self.output_proj(read)
