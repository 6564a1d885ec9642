"""The part of Mask2Former that proposes masks, whatever names them afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import nn

from rsseg.models.mask2former.pixel_decoder import PixelDecoder, sine_positions
from rsseg.models.mask2former.transformer import QueryDecoder

__all__ = ["Layers", "MaskProposals", "perceptron"]

Layers = list[tuple[torch.Tensor, torch.Tensor]]
"""Queries (N, Q, C) and logits of their masks (N, Q, h, w), before the first layer and after each."""


def perceptron(channels: int, out: int, layers: int = 3) -> nn.Sequential:
    """Linear layers of ``channels`` channels with a ReLU behind each but the last, which has ``out``."""
    steps: list[nn.Module] = []
    for _ in range(layers - 1):
        steps += [nn.Linear(channels, channels), nn.ReLU()]
    return nn.Sequential(*steps, nn.Linear(channels, out))


class MaskProposals(BaseModule):
    """Four maps of a backbone to queries, each with a mask.

    Parameters are named as in mmseg's and the release's Mask2Former, so that their files load by a change of prefix.

    Args:
        in_channels: Channels of the backbone's maps at strides 4, 8, 16 and 32.
        channels: Channels of queries and maps, a multiple of 32.
        queries: How many.
        encoder_layers: Layers of the pixel decoder.
        decoder_layers: Layers of the transformer decoder.
        heads: Attention heads of both.
        encoder_hidden: Width of the MLPs of the pixel decoder.
        decoder_hidden: Width of the MLPs of the transformer decoder.
        init_cfg: As for mmseg's heads.

    Raises:
        ConfigError: A size does not fit, see :class:`PixelDecoder`.

    Source: Mask2Former paper, section 3; values are those of its configuration for ADE20K with ResNet-50.  Deformable
    attention uses ``grid_sample``: slower than mmdet's compiled operator.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int = 256,
        queries: int = 100,
        encoder_layers: int = 6,
        decoder_layers: int = 9,
        heads: int = 8,
        encoder_hidden: int = 1024,
        decoder_hidden: int = 2048,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        self.channels = channels
        self.pixel_decoder = PixelDecoder(in_channels, channels, encoder_layers, heads, encoder_hidden)
        self.transformer_decoder = QueryDecoder(channels, decoder_layers, heads, decoder_hidden)
        self.query_embed = nn.Embedding(queries, channels)
        self.query_feat = nn.Embedding(queries, channels)
        self.level_embed = nn.Embedding(3, channels)
        self.mask_embed = perceptron(channels, channels)

    def propose(self, maps: Sequence[torch.Tensor]) -> tuple[Layers, torch.Tensor]:
        """A backbone's maps (N, C, h, w), finest first, to queries and masks of all layers.

        Returns:
            The layers, and the map (N, channels, h, w) of which all masks are made.
        """
        mask_map, coarse = self.pixel_decoder(maps)
        coarse = [m + level[:, None, None] for m, level in zip(coarse, self.level_embed.weight, strict=True)]
        positions = [sine_positions((m.shape[2], m.shape[3]), self.channels, m.device) for m in coarse]
        queries = (self.query_feat.weight, self.query_embed.weight)
        return self.transformer_decoder(queries, coarse, positions, mask_map, self.mask_embed), mask_map

    def forward(self, maps: Sequence[torch.Tensor]) -> Layers:
        """A backbone's maps (N, C, h, w), finest first, to queries and masks of all layers."""
        return self.propose(maps)[0]
