"""MaskFormer's network: a feature pyramid for the masks, and queries that read the coarsest map of the backbone.

Names of the parameters of the decoder's layers are those of DETR and of the releases.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.models.mask2former.pixel_decoder import sine_positions
from rsseg.models.mask2former.proposals import perceptron

__all__ = ["FeaturePyramid", "MaskFormerProposals"]

_GROUPS = 32


class FeaturePyramid(nn.Module):
    """A backbone's maps to one of which masks are made, by sums from coarse to fine.

    Args:
        in_channels: Channels of the backbone's maps, finest first.
        dim: Channels of all maps, a multiple of 32.

    Raises:
        ConfigError: ``dim`` is no multiple of 32.

    Source: MaskFormer paper, section 3.3 and release.
    """

    def __init__(self, in_channels: Sequence[int], dim: int = 256) -> None:
        super().__init__()
        if dim % _GROUPS:
            raise ConfigError(f"{dim} channels: expected a multiple of {_GROUPS}")
        norm = dict(type="GN", num_groups=_GROUPS)
        fine, widths = in_channels[:-1], [dim] * (len(in_channels) - 1)
        self.lateral_convs = nn.ModuleList(
            ConvModule(width, dim, 1, bias=False, norm_cfg=norm, act_cfg=None) for width in fine
        )
        self.output_convs = nn.ModuleList(
            ConvModule(width, dim, 3, padding=1, bias=False, norm_cfg=norm) for width in (*widths, in_channels[-1])
        )
        self.mask_feature = nn.Conv2d(dim, dim, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
        nn.init.zeros_(self.get_parameter("mask_feature.bias"))

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """A backbone's maps (N, C, h, w), finest first, to (N, dim, h, w) of the finest size."""
        x = self.output_convs[-1](maps[-1])
        for fine, lateral, output in zip(
            maps[-2::-1], self.lateral_convs[::-1], self.output_convs[-2::-1], strict=True
        ):
            x = output(lateral(fine) + functional.interpolate(x, size=fine.shape[2:], mode="nearest"))
        return self.mask_feature(x)


class _Layer(nn.Module):
    """Queries look at each other, then at a map; norms come after the residuals."""

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(dim, heads, dropout, batch_first=True)
        self.multihead_attn = nn.MultiheadAttention(dim, heads, dropout, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: torch.Tensor, positions: torch.Tensor, values: torch.Tensor, value_positions: torch.Tensor
    ) -> torch.Tensor:
        """Queries (N, Q, dim) after reading from values (N, L, dim); positions are only for where to look."""
        own = x + positions
        x = self.norm1(x + self.dropout(self.self_attn(own, own, x, need_weights=False)[0]))
        keys = values + value_positions
        x = self.norm2(x + self.dropout(self.multihead_attn(x + positions, keys, values, need_weights=False)[0]))
        hidden = self.dropout(functional.relu(self.linear1(x)))
        return self.norm3(x + self.dropout(self.linear2(hidden)))


class MaskFormerProposals(BaseModule):
    """Four maps of a backbone to queries, each with a mask and an embedding of what it shows.

    Args:
        in_channels: Channels of the backbone's maps at strides 4, 8, 16 and 32.
        embed: Channels of the embeddings.
        channels: Channels of queries and maps, a multiple of 32.
        queries: How many.
        layers: Layers of the decoder.
        heads: Attention heads.
        hidden: Width of the decoder's MLPs.
        embed_hidden: Width of the MLP that makes embeddings.
        dropout: In the decoder's layers.

    Raises:
        ConfigError: ``channels`` is no multiple of 32.

    Source: MaskFormer paper, section 3.3 and release (no encoder; queries start at zero); OV-Seg release (embeddings).
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        embed: int,
        channels: int = 256,
        queries: int = 100,
        layers: int = 6,
        heads: int = 8,
        hidden: int = 2048,
        embed_hidden: int = 1024,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.pixel_decoder = FeaturePyramid(in_channels, channels)
        self.input_proj = nn.Conv2d(in_channels[-1], channels, 1)
        nn.init.kaiming_uniform_(self.input_proj.weight, a=1)
        nn.init.zeros_(self.get_parameter("input_proj.bias"))
        self.query_embed = nn.Embedding(queries, channels)
        self.layers = nn.ModuleList(_Layer(channels, heads, hidden, dropout) for _ in range(layers))
        for parameter in self.layers.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        self.post_norm = nn.LayerNorm(channels)
        self.mask_embed = perceptron(channels, channels)
        self.class_embed = nn.Sequential(nn.Linear(channels, embed_hidden), nn.ReLU(), nn.Linear(embed_hidden, embed))

    def forward(self, maps: Sequence[torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """A backbone's maps (N, C, h, w), finest first, to what each layer proposes; in evaluation the last one only.

        Returns:
            Pairs of embeddings (N, Q, embed), not normalised, and logits of masks (N, Q, h, w) of the finest size.
        """
        mask_map, coarse = self.pixel_decoder(maps), self.input_proj(maps[-1])
        positions = sine_positions((coarse.shape[2], coarse.shape[3]), self.channels, coarse.device)
        values, query = coarse.flatten(2).mT, self.query_embed.weight
        x, outs = torch.zeros_like(query).expand(len(coarse), -1, -1), []
        for i, layer in enumerate(self.layers, start=1):
            x = layer(x, query, values, positions)
            if self.training or i == len(self.layers):
                normed = self.post_norm(x)
                masks = torch.einsum("nqc,nchw->nqhw", self.mask_embed(normed), mask_map)
                outs.append((self.class_embed(normed), masks))
        return outs
