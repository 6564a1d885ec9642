"""The cost aggregator of CAT-Seg that GSNet keeps: attention within windows, then over the classes of each place.

Shapes: B images, T classes, C channels, S places (h x w, row by row), D channels of a head.

Attention over the classes pads them to a fixed number with a learned token.  All padding tokens are equal at every
place, so their share of the sums over keys is a single term times their number; nothing else of them is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError

__all__ = ["Aggregator", "AggregatorLayer", "ClassAttention", "SwinBlock", "linear_attention", "positive", "shift_mask"]

_EPS = 1e-6

_CLASSES_AT_ONCE, _PLACES_AT_ONCE = 4, 64
"""Without gradients the work is done in parts that stay in a processor's cache, and memory is bounded."""


def _parts(x: torch.Tensor, dim: int, length: int) -> Sequence[torch.Tensor]:
    """Parts of (B, T, S, C) along one axis, of some ``length`` all in all; all of it where gradients are kept."""
    return [x] if torch.is_grad_enabled() else x.split(max(length // len(x), 1), dim)


def shift_mask(grid: int, window: int, shift: int) -> torch.Tensor:
    """What to add to the scores of shifted windows: -100 where two places were no neighbours before the shift.

    Returns:
        (windows, window * window, window * window) float32, windows row by row.

    Source: Swin.
    """
    place = torch.arange(grid)
    part = (place >= grid - window).long() + (place >= grid - shift).long()
    cells = _cells(3 * part[:, None] + part, window)
    return torch.where(cells[:, :, None] == cells[:, None], 0.0, -100.0)


def window_order(grid: int, window: int, shift: int) -> torch.Tensor:
    """Places of a grid, counted row by row, in the order of its shifted windows: window by window, row by row in each.

    Returns:
        (grid * grid,) int64.
    """
    places = torch.arange(grid * grid).view(grid, grid).roll((-shift, -shift), (0, 1))
    return _cells(places, window).flatten()


def _cells(grid: torch.Tensor, window: int) -> torch.Tensor:
    """(h, w) -> (windows, window * window)."""
    return grid.unfold(0, window, window).unfold(1, window, window).reshape(-1, window * window)


class _GuidedProjections(nn.Module):
    """Queries and keys of ``cat[x, guidance]`` and values of ``x``; the guidance's part is computed apart."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.q = nn.Linear(2 * channels, channels)
        self.k = nn.Linear(2 * channels, channels)
        self.v = nn.Linear(channels, channels)

    def of_tokens(self, x: torch.Tensor) -> torch.Tensor:
        """The tokens' part of (q, k, v): (..., C) -> (..., 3 C)."""
        weight = torch.cat([self.q.weight[:, : self.channels], self.k.weight[:, : self.channels], self.v.weight])
        return functional.linear(x, weight, torch.cat([self.q.bias, self.k.bias, self.v.bias]))

    def of_guidance(self, guidance: torch.Tensor) -> torch.Tensor:
        """The guidance's part of (q, k): (..., C) -> (..., 2 C)."""
        weight = torch.cat([self.q.weight[:, self.channels :], self.k.weight[:, self.channels :]])
        return functional.linear(guidance, weight)


class _WindowAttention(_GuidedProjections):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.proj = nn.Linear(channels, channels)


class _Mlp(nn.Module):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class SwinBlock(nn.Module):
    """Attention within (shifted) windows with the image's features as guidance, then an MLP; no relative positions.

    Args:
        channels: Channels.
        heads: Attention heads.
        grid: Places along a side.
        window: Places along a side of a window.
        shift: Places by which the windows are shifted.
    """

    attn_mask: torch.Tensor | None
    order: torch.Tensor
    back: torch.Tensor

    def __init__(self, channels: int, heads: int, grid: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.norm1 = nn.LayerNorm(channels)
        self.attn = _WindowAttention(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = _Mlp(channels, 4 * channels)
        self.register_buffer("attn_mask", shift_mask(grid, window, shift) if shift else None)
        order = window_order(grid, window, shift)
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("back", order.argsort(), persistent=False)

    def of_guidance(self, guidance: torch.Tensor) -> torch.Tensor:
        """The guidance's part of queries and keys in the order of windows: (B, S, C) -> (B, 1, S, 2 C)."""
        return self.attn.of_guidance(guidance[:, self.order])[:, None]

    def forward(self, x: torch.Tensor, added: torch.Tensor) -> torch.Tensor:
        """Features of the same shape.

        Args:
            x: (B, T, S, C).
            added: What :meth:`of_guidance` gave, the same for all classes.
        """
        x = x[:, :, self.order]  # all but the attention looks at single places: their order is free
        x = x + self.attn.proj(self._attend(self.norm1(x), added))
        x = x + self.mlp(self.norm2(x))
        return x[:, :, self.back]

    def _attend(self, x: torch.Tensor, added: torch.Tensor) -> torch.Tensor:
        b, t, s, c = x.shape
        qkv = self.attn.of_tokens(x)
        qkv[..., : 2 * c] += added
        parts = qkv.view(b * t, s // self.window**2, self.window**2, 3, self.heads, c // self.heads)
        q, k, v = parts.permute(3, 0, 1, 4, 2, 5).flatten(1, 2)
        mask = self.attn_mask
        if mask is not None:
            mask = mask.to(q.dtype)[None, :, None].expand(b * t, -1, self.heads, -1, -1).flatten(0, 1)
        return functional.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).reshape(b, t, s, c)


class _SwinPair(nn.Module):
    def __init__(self, channels: int, heads: int, grid: int, window: int) -> None:
        super().__init__()
        self.block_1 = SwinBlock(channels, heads, grid, window, 0)
        self.block_2 = SwinBlock(channels, heads, grid, window, window // 2 if grid > window else 0)
        self.guidance_norm = nn.LayerNorm(channels)

    def forward(self, x: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        guidance = self.guidance_norm(guidance)
        first, second = self.block_1.of_guidance(guidance), self.block_2.of_guidance(guidance)
        parts = _parts(x, 1, _CLASSES_AT_ONCE)
        return torch.cat([self.block_2(self.block_1(part, first), second) for part in parts], dim=1)


def linear_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, extra: tuple[torch.Tensor, torch.Tensor, int] | None = None
) -> torch.Tensor:
    """Attention without softmax, over the second but last axis.

    Args:
        q: (..., T, D) queries after the feature map, all positive; so are the keys.
        k: (..., T, D) keys.
        v: (..., T, D) values.
        extra: A further key and value that broadcast to (..., 1, D), and how often they occur.

    Returns:
        (..., T, D): ``q (sum k v) / (q . sum k + 1e-6)``.

    Source: linear attention of LoFTR as in CAT-Seg; its division of values by the length and back is left out.
    """
    sums, total = k.transpose(-1, -2) @ v, k.sum(-2, keepdim=True)
    if extra is not None:
        key, value, times = extra
        sums, total = sums + times * (key.transpose(-1, -2) * value), total + times * key
    return (q @ sums) / ((q @ total.transpose(-1, -2)) + _EPS)


def positive(x: torch.Tensor) -> torch.Tensor:
    """``elu(x) + 1``, in less time."""
    return x.clamp(max=0).exp() + x.relu()


class ClassAttention(nn.Module):
    """Linear attention over the classes of each place with the text as guidance, then an MLP.

    Args:
        channels: Channels.
        heads: Attention heads.
        length: Number of classes that fewer are padded to.
        pooling: Places along a side that are averaged to one in training; in evaluation every place has its own.

    Source: CAT-Seg, GSNet release; the padding in closed form, see the top of this file.
    """

    def __init__(self, channels: int, heads: int, length: int, pooling: int) -> None:
        super().__init__()
        self.heads, self.length, self.pooling = heads, length, pooling
        self.padding_tokens = nn.Parameter(torch.zeros(1, 1, channels))
        self.padding_guidance = nn.Parameter(torch.zeros(1, 1, channels))
        self.attention = _GuidedProjections(channels)
        self.MLP = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.ReLU(inplace=True), nn.Linear(4 * channels, channels)
        )
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)

    def forward(self, x: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        """``x`` plus what its classes say of each other.

        Args:
            x: (B, T, S, C); in training of a square grid, row by row.
            guidance: (T, C), of the text.
        """
        if not self.training or self.pooling == 1:
            return torch.cat([part + self._mix(part, guidance) for part in _parts(x, 2, _PLACES_AT_ONCE)], dim=2)
        b, t, places, _ = x.shape
        maps = x.flatten(0, 1).transpose(1, 2).unflatten(2, (math.isqrt(places),) * 2)
        pooled = functional.avg_pool2d(maps, self.pooling)
        mixed = self._mix(pooled.flatten(2).transpose(1, 2).unflatten(0, (b, t)), guidance)
        mixed = mixed.flatten(0, 1).transpose(1, 2).unflatten(2, pooled.shape[2:])
        mixed = functional.interpolate(mixed, maps.shape[2:], mode="bilinear", align_corners=True)
        return x + mixed.flatten(2).transpose(1, 2).unflatten(0, (b, t))

    def _mix(self, x: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        c, attention = x.shape[-1], self.attention
        qkv = attention.of_tokens(self.norm1(x))
        qk, v = qkv[..., : 2 * c] + attention.of_guidance(guidance)[None, :, None], qkv[..., 2 * c :]
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).permute(0, 2, 3, 1, 4) for part in (*positive(qk).split(c, -1), v)
        )
        out = linear_attention(q, k, v, self._padding(x.shape[1]))
        x = x + out.permute(0, 3, 1, 2, 4).flatten(3)
        return x + self.MLP(self.norm2(x))

    def _padding(self, classes: int) -> tuple[torch.Tensor, torch.Tensor, int] | None:
        """Key and value (heads, 1, D) of a padding token, and the number of them."""
        if classes >= self.length:
            return None
        attention, c = self.attention, self.padding_tokens.shape[-1]
        qkv = attention.of_tokens(self.norm1(self.padding_tokens[0, 0]))
        key = positive(qkv[c : 2 * c] + attention.of_guidance(self.padding_guidance[0, 0])[c:])
        key, value = (part.view(self.heads, 1, -1) for part in (key, qkv[2 * c :]))
        return key, value, self.length - classes


class AggregatorLayer(nn.Module):
    """A pair of window blocks and the attention over classes."""

    def __init__(self, channels: int, heads: int, grid: int, window: int, length: int, pooling: int) -> None:
        super().__init__()
        self.swin_block = _SwinPair(channels, heads, grid, window)
        self.attention = ClassAttention(channels, heads, length, pooling)

    def forward(self, x: torch.Tensor, image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Features (B, T, S, C), with the guidance of the image (B, S, C) and of the text (T, C)."""
        return self.attention(self.swin_block(x, image), text)


@MODELS.register_module()
class Aggregator(nn.Module):
    """Refines the embedding of every class at every place of the coarse grid.

    Args:
        grid: Places along a side of the coarse grid.
        embed: Channels of CLIP's joint space.
        channels: Channels of the embedding.
        layers: Number of layers.
        heads: Attention heads.
        window: Places along a side of a window; divides ``grid``.
        length: Number of classes that fewer are padded to.
        pooling: See :class:`ClassAttention`.

    Raises:
        ConfigError: The windows do not fill the grid, or the heads do not share the channels.

    Source: GSNet release; names of parameters are the release's.  The paper does not mention this part.
    """

    def __init__(
        self,
        grid: int = 24,
        embed: int = 512,
        channels: int = 128,
        layers: int = 2,
        heads: int = 4,
        window: int = 12,
        length: int = 256,
        pooling: int = 2,
    ) -> None:
        super().__init__()
        if grid % window or channels % heads:
            raise ConfigError(
                f"grid={grid} must be divisible by window={window}, and channels={channels} by heads={heads}"
            )
        self.guidance_projection = nn.Sequential(nn.Conv2d(embed, channels, 3, padding=1), nn.ReLU())
        self.text_guidance_projection = nn.Sequential(nn.Linear(embed, channels), nn.ReLU())
        self.layers = nn.ModuleList(
            AggregatorLayer(channels, heads, grid, window, length, pooling) for _ in range(layers)
        )

    def forward(self, x: torch.Tensor, clip: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Embedding of the same shape.

        Args:
            x: (B, T, channels, grid, grid).
            clip: CLIP's features (B, embed, grid, grid), not normalised.
            text: Embeddings of the prompts (T, embed).
        """
        image = self.guidance_projection(clip).flatten(2).transpose(1, 2)
        texts = self.text_guidance_projection(functional.normalize(text, dim=-1))
        tokens = x.flatten(3).transpose(2, 3)
        for layer in self.layers:
            tokens = layer(tokens, image, texts)
        return tokens.transpose(2, 3).unflatten(3, x.shape[3:])
