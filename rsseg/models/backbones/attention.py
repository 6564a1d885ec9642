"""Attention of the plain transformers, and positions, absolute or relative, for grids of any size."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError

__all__ = ["Attention", "RelativeAttention", "position_index", "resize_positions", "stretch_table"]


def resize_positions(positions: torch.Tensor, old: tuple[int, int], new: tuple[int, int]) -> torch.Tensor:
    """Position embeddings (1, h * w, C) of a grid ``old`` (h, w), resized to ``new`` where it differs (bicubic)."""
    if old == new:
        return positions
    maps = positions.transpose(1, 2).unflatten(2, old)
    maps = functional.interpolate(maps.float(), size=new, mode="bicubic", align_corners=False)
    return maps.flatten(2).transpose(1, 2).to(positions.dtype)


def position_index(height: int, width: int) -> torch.Tensor:
    """Row of the table of relative positions for each pair of places in a window, (h * w, h * w) int64.

    The table has (2h - 1) * (2w - 1) rows; the row of query (y, x) and key (v, u) is that of offset (y - v, x - u).
    """
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    down = rows.flatten()[:, None] - rows.flatten() + height - 1
    right = columns.flatten()[:, None] - columns.flatten() + width - 1
    return down * (2 * width - 1) + right


def _source_offsets(radius: int, reach: int) -> torch.Tensor:
    """Where in a table for offsets up to ``radius`` the offsets -reach ... reach are, (2 * reach + 1,) float32."""
    offsets = torch.arange(reach + 1.0)
    if reach > radius:
        low, high = 1.0, float(reach)
        for _ in range(60):
            ratio = (low + high) / 2
            low, high = (low, ratio) if sum(ratio**i for i in range(radius)) > reach else (ratio, high)
        offsets = torch.log1p(offsets * (ratio - 1)) / math.log(ratio)
    return torch.cat([-offsets.flip(0), offsets[1:]])


def stretch_table(table: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Relative position biases for a grid of another size than the one they were trained for.

    Args:
        table: (heads, 2h - 1, 2w - 1) for a grid (h, w), both at least 3.
        size: The new grid (H, W).

    Returns:
        (heads, 2H - 1, 2W - 1).  A smaller grid takes the middle of the table; a larger one spaces the table's entries
        in a geometric series, so that small offsets keep their bias and the largest get that of the table's border.

    Source: the rule is that of BEiT's segmentation code; there a spline goes through the entries, here ``grid_sample``.
    """
    radius = (table.shape[1] // 2, table.shape[2] // 2)
    if size == (radius[0] + 1, radius[1] + 1):
        return table
    y, x = (_source_offsets(r, s - 1) / r for r, s in zip(radius, size, strict=True))
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[None].to(table.device)
    out = functional.grid_sample(table[None].float(), grid, "bicubic", "border", align_corners=True)
    return out[0].to(table.dtype)


class Attention(nn.Module):
    """Attention among all tokens of a map.

    Args:
        dim: Channels of the tokens.
        heads: Attention heads.

    Raises:
        ConfigError: ``heads`` does not divide ``dim``.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ConfigError(f"{dim} channels must be divisible by {heads} attention heads")
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Tokens (N, L, C) of a map of ``size`` (h, w) to tokens of the same shape."""
        return self._attend(self.qkv(x))

    def _attend(self, qkv: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        q, k, v = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        bias = None if bias is None else bias.to(q.dtype)
        out = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.proj(out.transpose(1, 2).flatten(2))


class RelativeAttention(Attention):
    """BEiT's attention: no bias for keys, one for each pair of places; the first token is the class token.

    Args:
        dim: Channels of the tokens.
        heads: Attention heads.
        window: Side of the square map that the table of biases is for; other maps get it stretched.

    Raises:
        ValueError: ``heads`` does not divide ``dim``.
    """

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__(dim, heads)
        self.window = window
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))
        # The last three rows: class token to patch, patch to class token, class token to itself.
        rows = (2 * window - 1) ** 2 + 3
        self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(torch.empty(rows, heads), std=0.02))
        index = functional.pad(position_index(window, window), (1, 0, 1, 0))
        index[0, :], index[:, 0], index[0, 0] = rows - 3, rows - 2, rows - 1
        self.register_buffer("relative_position_index", index)  # in the files; what it says is in _bias

    def forward(self, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Tokens (N, 1 + h * w, C), the class token and those of a map of ``size`` (h, w), to tokens of that shape."""
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        return self._attend(functional.linear(x, self.qkv.weight, bias), self._bias(size))

    def _bias(self, size: tuple[int, int]) -> torch.Tensor:
        """(1, heads, 1 + h * w, 1 + h * w) for a map of size (h, w)."""
        side = 2 * self.window - 1
        rows = self.relative_position_bias_table.T
        table = stretch_table(rows[:, :-3].unflatten(1, (side, side)), size)
        # Query (y, x) and key (v, u) meet at (y - v, x - u), counted from the middle: windows of the flipped table.
        pairs = table.flip(1, 2).unfold(1, size[0], 1).unfold(2, size[1], 1).flip(1, 2)
        bias = functional.pad(pairs.flatten(3, 4).flatten(1, 2), (1, 0, 1, 0))
        bias[:, 0, :] = rows[:, -3, None]
        bias[:, :, 0] = rows[:, -2, None]
        bias[:, 0, 0] = rows[:, -1]
        return bias[None]
