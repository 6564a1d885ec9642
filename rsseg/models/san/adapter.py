"""SAN's two ways through an image: a small transformer that proposes masks, and CLIP's last blocks that name them.

mmseg's own is not used because it needs compiled operators; names of the adapter's parameters are mmseg's.
Shapes: B images, Q queries, C channels, h x w places of the adapter's grid, L those of CLIP's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models.backbones.vit import TransformerEncoderLayer
from mmseg.models.utils import MLP, LayerNorm2d
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.models.gsnet.clip import CLIP

__all__ = ["Proposals", "SideAdapter", "recognise"]

Proposals = tuple[torch.Tensor, torch.Tensor]
"""Logits of masks (B, Q, h, w), and what is added to the scores of CLIP's attention, (B, heads, Q, h, w)."""

_NORM = dict(type="LN", eps=1e-6)


class _MaskDecoder(nn.Module):
    """Masks and attention biases as products of queries with features of the places."""

    def __init__(self, width: int, heads: int, channels: int) -> None:
        super().__init__()
        self.heads = heads

        def of_places(in_channels: int, out_channels: int) -> nn.Module:
            return nn.Conv2d(in_channels, out_channels, 1)

        self.query_mlp = MLP(width, channels, channels, 3)
        self.pix_mlp = MLP(width, channels, channels, 3, affine_func=of_places)
        self.attn_mlp = MLP(width, channels, channels * heads, 3, affine_func=of_places)
        self.bias_scaling = nn.Linear(1, 1)

    def forward(self, queries: torch.Tensor, places: torch.Tensor) -> Proposals:
        """Proposals of queries (B, Q, C) and places (B, C, h, w)."""
        queries = self.query_mlp(queries)
        masks = torch.einsum("bqc,bchw->bqhw", queries, self.pix_mlp(places))
        bias = torch.einsum("bqc,bnchw->bnqhw", queries, self.attn_mlp(places).unflatten(1, (self.heads, -1)))
        return masks, self.bias_scaling(bias[..., None])[..., 0]


def _projection(channels: int, out: int) -> nn.Module:
    conv: Any = nn.Conv2d(channels, out, 1)
    nn.init.kaiming_uniform_(conv.weight, a=1)
    nn.init.constant_(conv.bias, 0)
    return nn.Sequential(LayerNorm2d(channels), conv)


class SideAdapter(nn.Module):
    """A transformer over queries and places that takes CLIP's features in and proposes a mask for each query.

    Args:
        clip_width: Channels of CLIP's features.
        clip_heads: Heads of CLIP's attention; each gets a bias of its own.
        taps: Number of CLIP's features that are added: one before the first block, and one after each of the next.
        resolution: Side of the images in pixels.
        patch: Side of the patches in pixels.
        width: Channels of the tokens.
        layers: Blocks; the last two propose masks in training, the last one in evaluation.
        heads: Attention heads, a divisor of ``width``.
        queries: Number of masks.
        channels: Channels in which queries and places meet.

    Raises:
        ConfigError: ``resolution`` is no multiple of ``patch``, or there are more taps than blocks.

    Source: SAN paper (CVPR 2023); mmseg (names).
    """

    def __init__(
        self,
        clip_width: int = 768,
        clip_heads: int = 12,
        taps: int = 4,
        resolution: int = 640,
        patch: int = 16,
        width: int = 240,
        layers: int = 8,
        heads: int = 6,
        queries: int = 100,
        channels: int = 256,
    ) -> None:
        super().__init__()
        if resolution % patch or taps > layers:
            raise ConfigError(
                f"resolution={resolution} must be a multiple of patch={patch}, and layers must be at least taps={taps}"
            )
        self.resolution, self.grid = resolution, resolution // patch
        self.patch_embed = nn.Conv2d(3, width, patch, patch)
        self.pos_embed = nn.Parameter(torch.zeros(1, self.grid**2, width))
        self.query_embed = nn.Parameter(torch.zeros(1, queries, width))
        self.query_pos_embed = nn.Parameter(torch.zeros(1, queries, width))
        for tokens in (self.pos_embed, self.query_embed, self.query_pos_embed):
            nn.init.normal_(tokens, std=0.02)
        self.encode_layers = nn.ModuleList(
            TransformerEncoderLayer(width, heads, 4 * width, norm_cfg=_NORM) for _ in range(layers)
        )
        self.conv_clips = nn.ModuleList(_projection(clip_width, width) for _ in range(taps))
        self.mask_decoder = _MaskDecoder(width, clip_heads, channels)

    def forward(self, images: torch.Tensor, features: Sequence[torch.Tensor]) -> list[Proposals]:
        """Proposals of the last block; in training of the one before too, first.

        Args:
            images: (B, 3, resolution, resolution), normalised.
            features: CLIP's (B, clip_width, l, l), one for each tap.
        """
        places = self.patch_embed(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.query_embed.expand(len(images), -1, -1), places], dim=1)
        positions = torch.cat([self.query_pos_embed, self.pos_embed], dim=1)
        x = self._add(x + positions, 0, features)
        out = []
        for i, block in enumerate(self.encode_layers, start=1):
            x = block(x)
            if i < len(features):
                x = self._add(x, i, features)
            if i == len(self.encode_layers) or (self.training and i == len(self.encode_layers) - 1):
                queries, maps = x.split((self.query_embed.shape[1], self.grid**2), dim=1)
                out.append(self.mask_decoder(queries, maps.transpose(1, 2).unflatten(2, (self.grid, self.grid))))
            x = x + positions
        return out

    def _add(self, x: torch.Tensor, tap: int, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Tokens with CLIP's features added to the places."""
        own = self.conv_clips[tap](features[tap])
        own = functional.interpolate(own, (self.grid, self.grid), mode="bilinear", align_corners=False)
        queries, places = x.split((self.query_embed.shape[1], self.grid**2), dim=1)
        return torch.cat([queries, places + own.flatten(2).transpose(1, 2)], dim=1)


def recognise(
    clip: CLIP, tokens: torch.Tensor, bias: torch.Tensor, first: int, size: tuple[int, int] | None = None
) -> torch.Tensor:
    """What masks show, in CLIP's joint space.

    Each query is a copy of the class token that sees itself and the places, these by its own bias; what CLIP makes of
    the image stays as it is.

    Args:
        clip: CLIP.
        tokens: (B, 1 + L, width) before block ``first``: the class token and the places.
        bias: (B, heads, Q, h, w), see :data:`Proposals`.
        first: The first of the blocks that are run.
        size: Rows and columns of the places; None where they are a square.

    Returns:
        (B, Q, embed), of length 1.

    Source: SAN paper, section 3.3.
    """
    count = bias.shape[2]
    size = size or (math.isqrt(tokens.shape[1] - 1),) * 2
    pooled = functional.adaptive_max_pool2d(bias.flatten(1, 2), size).flatten(2).unflatten(1, bias.shape[1:3])
    length = count + tokens.shape[1]
    added = pooled.new_zeros(length, length)
    added[:, :count], added[:count, count] = -torch.inf, -torch.inf
    added[:count, :count].fill_diagonal_(0)
    added = added.expand(*pooled.shape[:2], -1, -1).clone()
    added[:, :, :count, count + 1 :] = pooled
    x = torch.cat([tokens[:, :1].expand(-1, count, -1), tokens], dim=1)
    for block in clip.visual.transformer.resblocks[first:]:
        x = block(x, bias=added)
    return functional.normalize(clip.visual.ln_post(x[:, :count]) @ clip.visual.proj, dim=-1)
