"""ViT-B with rotated varied-size window attention (RVSA).

Shapes: N images, M heads, C channels of a head, D = M * C; maps of H x W tokens, padded to I x J windows
of S x S.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.models.backbones.attention import Attention, position_index
from rsseg.models.backbones.vit import PlainTransformer

__all__ = ["RVSA", "RVSAttention"]


def _regression(dim: int, outputs: int, window: int) -> nn.Sequential:
    """Maps (N, D, I * S, J * S) to ``outputs`` numbers for each window, (N, outputs, I, J)."""
    return nn.Sequential(nn.AvgPool2d(window), nn.LeakyReLU(), nn.Conv2d(dim, outputs, 1))


def _centres(count: int, window: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Along one axis, from -1 in the first token to 1 in the last: middles (I, 1) of windows, offsets (1, S) inside."""
    last = count * window - 1
    middles = (torch.arange(count) * window + (window - 1) / 2) * 2 / last - 1
    inside = (torch.arange(window) - (window - 1) / 2) * 2 / last
    return middles[:, None], inside[None]


class RVSAttention(nn.Module):
    """Attention inside of windows, whose keys and values come from a rectangle that each head moves, scales and turns.

    Args:
        dim: Channels of the tokens.
        heads: Attention heads.
        window: Side S of the windows, in tokens.

    Raises:
        ConfigError: ``heads`` does not divide ``dim``.

    Source: RVSA paper, section III-B; SAMRS release.  As there, the map is padded with zeros on all sides and these
    take part; offsets in x are divided by the number of whole windows in y and the other way round (here at least by
    one: the release divides by zero below 112 pixels); what is turned are coordinates from -1 to 1 along both sides.
    """

    relative_position_index: torch.Tensor

    def __init__(self, dim: int, heads: int, window: int = 7) -> None:
        super().__init__()
        if dim % heads:
            raise ConfigError(f"{dim} channels must be divisible by {heads} attention heads")
        self.heads, self.window = heads, window
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * window - 1, dim // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * window - 1, dim // heads))
        table = nn.init.trunc_normal_(torch.empty((2 * window - 1) ** 2, heads), std=0.02)
        self.relative_position_bias_table = nn.Parameter(table)
        self.register_buffer("relative_position_index", position_index(window, window))
        self.sampling_offsets = _regression(dim, 2 * heads, window)
        self.sampling_scales = _regression(dim, 2 * heads, window)
        self.sampling_angles = _regression(dim, heads, window)

    def forward(self, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Tokens (N, H * W, D) of a map of ``size`` (H, W) to tokens of the same shape."""
        down, right = (-side % self.window for side in size)
        margin = (right // 2, right - right // 2, down // 2, down - down // 2)
        grid = self._places(functional.pad(x.transpose(1, 2).unflatten(2, size), margin), size)
        qkv = functional.pad(self.qkv(x).transpose(1, 2).unflatten(2, size), margin)
        q, k, v = qkv.unflatten(1, (3, self.heads, -1)).transpose(0, 1).flatten(1, 2)  # (N * M, C, I * S, J * S)
        sampled = functional.grid_sample(torch.cat([k, v], 1).float(), grid, padding_mode="zeros", align_corners=True)
        q, k, v = (self._split(y) for y in (q, *sampled.to(q.dtype).chunk(2, 1)))
        weights = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5 + self._bias(q)
        out = self._join(weights.softmax(-1) @ v, (size[0] + down, size[1] + right))
        out = out[..., margin[2] : margin[2] + size[0], margin[0] : margin[0] + size[1]]
        return self.proj(out.flatten(2).transpose(1, 2))

    def _places(self, maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Where each head samples keys and values, (N * M, I * S, J * S, 2) float32 x, y for ``grid_sample``.

        Args:
            maps: Padded tokens (N, D, I * S, J * S).
            size: (H, W) of the map without padding.
        """
        offsets, scales, angles = (
            net(maps).float().unflatten(1, (self.heads, -1)).flatten(0, 1)[:, :, :, None, :, None].unbind(1)
            for net in (self.sampling_offsets, self.sampling_scales, self.sampling_angles)
        )  # each a tuple of (N * M, I, 1, J, 1), for x and y or for the angle
        (middle_y, y), (middle_x, x) = (
            [values.to(maps.device) for values in _centres(side // self.window, self.window)] for side in maps.shape[2:]
        )
        x = x[:, None, None] * (scales[0] + 1)  # (N * M, I, 1, J, S)
        y = y[:, :, None, None] * (scales[1] + 1)  # (N * M, I, S, J, 1)
        sine, cosine = angles[0].sin(), angles[0].cos()
        shift_x = offsets[0] / max(size[0] // self.window, 1)
        shift_y = offsets[1] / max(size[1] // self.window, 1)
        places_x = x * cosine - y * sine + middle_x + shift_x
        places_y = x * sine + y * cosine + middle_y[:, :, None, None] + shift_y
        return torch.stack([places_x, places_y], -1).flatten(3, 4).flatten(1, 2)

    def _bias(self, q: torch.Tensor) -> torch.Tensor:
        """Both kinds of relative positions, (N, M, I * J, S * S, S * S), for queries (N, M, I * J, S * S, C)."""
        steps = torch.arange(self.window, device=q.device)
        distance = steps[:, None] - steps + self.window - 1
        grid = q.unflatten(3, (self.window, self.window))
        rows = torch.einsum("nmwyxc,ykc->nmwyxk", grid, self.rel_pos_h[distance])
        columns = torch.einsum("nmwyxc,xkc->nmwyxk", grid, self.rel_pos_w[distance])
        of_query = (rows[..., :, None] + columns[..., None, :]).flatten(5, 6).flatten(3, 4)
        return of_query + self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[:, None]

    def _split(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N * M, C, I * S, J * S) to windows (N, M, I * J, S * S, C)."""
        windows = maps.unflatten(3, (-1, self.window)).unflatten(2, (-1, self.window))
        return windows.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2).unflatten(0, (-1, self.heads))

    def _join(self, windows: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Windows (N, M, I * J, S * S, C) to maps (N, M * C, I * S, J * S) of ``size``."""
        grid = windows.unflatten(3, (self.window, self.window)).unflatten(2, (size[0] // self.window, -1))
        return grid.permute(0, 1, 6, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4).flatten(1, 2)


@MODELS.register_module()
class RVSA(PlainTransformer):
    """ViT whose blocks attend inside of moved, scaled and turned windows; the defaults are ViT-B + RVSA.

    The four maps are the outputs of the blocks ``out_indices``, enlarged by 4 and 2, kept, and halved.  They are not
    normed: ``norm`` is in the published files but without effect, and needs no gradient.

    Args:
        in_channels: Bands of the image.
        embed_dims: Channels of the tokens and of all four maps.
        depth: Blocks.
        num_heads: Attention heads, a divisor of ``embed_dims``.
        mlp_ratio: Hidden width of the MLPs over ``embed_dims``.
        window: Side of the windows in tokens of 16 pixels.
        interval: Blocks ``interval``, 2 * ``interval`` ... (from 1) attend to the whole map, without any positions.
        out_indices: The four blocks whose outputs are used, from 0.
        drop_path_rate: Stochastic depth of the last block, rising linearly from 0 at the first.
        with_cp: Recompute each block in the backward pass instead of keeping what is inside of it.
        init_cfg: As for mmseg's backbones.

    Raises:
        ConfigError: ``num_heads`` or ``out_indices`` does not fit.

    Source: RVSA paper; SAMRS release, whose parameter names these are.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        window: int = 7,
        interval: int = 3,
        out_indices: Sequence[int] = (3, 5, 7, 11),
        drop_path_rate: float = 0.1,
        with_cp: bool = False,
        init_cfg: Any = None,
    ) -> None:
        if len(out_indices) != 4 or sorted(set(out_indices)) != list(out_indices) or out_indices[-1] >= depth:
            raise ConfigError(
                f"out_indices={out_indices}: expected four increasing block numbers from 0 to {depth - 1}"
            )
        attentions = [
            RVSAttention(embed_dims, num_heads, window) if i % interval else Attention(embed_dims, num_heads)
            for i in range(1, depth + 1)
        ]
        super().__init__(attentions, in_channels, embed_dims, mlp_ratio, drop_path_rate, None, with_cp, init_cfg)
        self.out_indices = tuple(out_indices)
        self.norm.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Images (N, bands, H, W) of any size to four maps (N, D, h, w); sizes as those of :class:`ViT`."""
        image_size = (x.shape[2], x.shape[3])
        patches = self.patch_embed(x)
        size = (patches.shape[2], patches.shape[3])
        tokens, maps = patches.flatten(2).transpose(1, 2), []
        for i, block in enumerate(self.blocks):
            tokens = self._run(block, tokens, size)
            if i in self.out_indices:
                maps.append(tokens.transpose(1, 2).unflatten(2, size))
        return self._pyramid(maps, image_size)
