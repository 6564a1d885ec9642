"""The cost aggregator of CAT-Seg that GSNet keeps: attention within windows, then over the classes of each place.

Shapes: B images, T classes, C channels, h x w places, S = h * w, H heads, D = C / H.

Attention over the classes pads them to a fixed number with a learned token.  All padding tokens are equal at every
place, so their share of the sums over keys is a single term times their number; nothing else of them is needed.
"""

from __future__ import annotations

import torch
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

__all__ = ["Aggregator", "AggregatorLayer", "ClassAttention", "SwinBlock", "linear_attention", "shift_mask"]

_EPS = 1e-6


def shift_mask(grid: int, window: int, shift: int) -> torch.Tensor:
    """What to add to the scores of shifted windows: -100 where two places were no neighbours before the shift.

    Returns:
        (windows, window * window, window * window) float32, windows row by row.

    Source: Swin.
    """
    place = torch.arange(grid)
    part = (place >= grid - window).long() + (place >= grid - shift).long()
    region = (3 * part[:, None] + part)[None, :, :, None]
    cells = _windows(region, window).flatten(1)
    return torch.where(cells[:, :, None] == cells[:, None], 0.0, -100.0)


def _windows(x: torch.Tensor, window: int) -> torch.Tensor:
    """(N, h, w, C) -> (N * windows, window * window, C)."""
    n, h, w, c = x.shape
    x = x.view(n, h // window, window, w // window, window, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, window * window, c)


def _from_windows(x: torch.Tensor, window: int, h: int, w: int) -> torch.Tensor:
    """(N * windows, window * window, C) -> (N, h, w, C)."""
    x = x.view(-1, h // window, w // window, window, window, x.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, h, w, x.shape[-1])


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

    def __init__(self, channels: int, heads: int, grid: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.norm1 = nn.LayerNorm(channels)
        self.attn = _WindowAttention(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = _Mlp(channels, 4 * channels)
        if shift:
            self.register_buffer("attn_mask", shift_mask(grid, window, shift))
        else:
            self.attn_mask = None

    def forward(self, x: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        """Features of the same shape.

        Args:
            x: (B, T, h, w, C).
            guidance: (B, h, w, C), the same for all classes.
        """
        x = x + self.attn.proj(self._attend(self.norm1(x), guidance))
        return x + self.mlp(self.norm2(x))

    def _attend(self, x: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        b, t, h, w, c = x.shape
        qkv = self.attn.of_tokens(x)
        added = self.attn.of_guidance(guidance)[:, None]
        qkv = torch.cat([qkv[..., : 2 * c] + added, qkv[..., 2 * c :]], dim=-1).flatten(0, 1)
        if self.shift:
            qkv = qkv.roll((-self.shift, -self.shift), (1, 2))
        cells = _windows(qkv, self.window)
        q, k, v = cells.view(b * t, -1, cells.shape[1], 3, self.heads, c // self.heads).permute(3, 0, 1, 4, 2, 5)
        mask = None if self.attn_mask is None else self.attn_mask.to(q.dtype)[None, :, None]
        if mask is not None:
            mask = mask.expand(b * t, -1, self.heads, -1, -1).flatten(0, 1)
        out = functional.scaled_dot_product_attention(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), mask)
        out = _from_windows(out.transpose(1, 2).flatten(2), self.window, h, w)
        if self.shift:
            out = out.roll((self.shift, self.shift), (1, 2))
        return out.unflatten(0, (b, t))


class _SwinPair(nn.Module):
    def __init__(self, channels: int, heads: int, grid: int, window: int) -> None:
        super().__init__()
        self.block_1 = SwinBlock(channels, heads, grid, window, 0)
        self.block_2 = SwinBlock(channels, heads, grid, window, window // 2 if grid > window else 0)
        self.guidance_norm = nn.LayerNorm(channels)

    def forward(self, x: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        guidance = self.guidance_norm(guidance)
        return self.block_2(self.block_1(x, guidance), guidance)


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
        self.MLP = nn.Sequential(nn.Linear(channels, 4 * channels), nn.ReLU(), nn.Linear(4 * channels, channels))
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)

    def forward(self, x: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        """``x`` plus what its classes say of each other, (B, T, h, w, C).

        Args:
            x: (B, T, h, w, C).
            guidance: (T, C), of the text.
        """
        if not self.training or self.pooling == 1:
            return x + self._mix(x, guidance)
        b, t, h, w, _ = x.shape
        maps = functional.avg_pool2d(x.flatten(0, 1).permute(0, 3, 1, 2), self.pooling)
        mixed = self._mix(maps.permute(0, 2, 3, 1).unflatten(0, (b, t)), guidance)
        maps = functional.interpolate(
            mixed.flatten(0, 1).permute(0, 3, 1, 2), (h, w), mode="bilinear", align_corners=True
        )
        return x + maps.permute(0, 2, 3, 1).unflatten(0, (b, t))

    def _mix(self, x: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        b, t, h, w, c = x.shape
        attention = self.attention
        qkv = attention.of_tokens(self.norm1(x)).flatten(2, 3)
        added = attention.of_guidance(guidance)[None, :, None]
        qk, v = functional.elu(qkv[..., : 2 * c] + added) + 1, qkv[..., 2 * c :]
        q, k, v = (part.unflatten(-1, (self.heads, -1)).permute(0, 2, 3, 1, 4) for part in (*qk.split(c, -1), v))
        extra = None
        if t < self.length:
            own = attention.of_tokens(self.norm1(self.padding_tokens[0, 0]))
            own_k = functional.elu(own[c : 2 * c] + attention.of_guidance(self.padding_guidance[0, 0])[c:]) + 1
            key, value = (part.unflatten(-1, (self.heads, 1, -1)) for part in (own_k, own[2 * c :]))
            extra = key, value, self.length - t
        out = linear_attention(q, k, v, extra)
        x = x + out.permute(0, 3, 1, 2, 4).reshape(b, t, h, w, c)
        return x + self.MLP(self.norm2(x))


class AggregatorLayer(nn.Module):
    """A pair of window blocks and the attention over classes."""

    def __init__(self, channels: int, heads: int, grid: int, window: int, length: int, pooling: int) -> None:
        super().__init__()
        self.swin_block = _SwinPair(channels, heads, grid, window)
        self.attention = ClassAttention(channels, heads, length, pooling)

    def forward(self, x: torch.Tensor, image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Features (B, T, h, w, C), with the guidance of the image (B, h, w, C) and of the text (T, C)."""
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
        ValueError: The windows do not fill the grid, or the heads do not share the channels.

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
            raise ValueError(f"windows of {window} must fill a grid of {grid}, {heads} heads share {channels} channels")
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
        image = self.guidance_projection(clip).permute(0, 2, 3, 1)
        texts = self.text_guidance_projection(functional.normalize(text, dim=-1))
        x = x.permute(0, 1, 3, 4, 2)
        for layer in self.layers:
            x = layer(x, image, texts)
        return x.permute(0, 1, 4, 2, 3)
