"""SCAN's semantic prior: what a frozen CLIP makes of the whole image, and how it changes the queries.

Shapes: B images, Q queries, L places of CLIP's grid, P places of the prior (three times L).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from rsseg.models.autocast import without_autocast

__all__ = ["FrequencyFilter", "QueryCalibration", "SemanticPrior"]


def _low_pass(size: tuple[int, int], sigma: float, device: torch.device) -> torch.Tensor:
    """Gate (h, w) of a spectrum that is not shifted: 1 - exp(-r^2 / (2 sigma^2)), r from the middle of the table.

    The middle of such a spectrum has its highest frequencies, so that these are kept out.
    """
    y, x = (torch.arange(length, device=device, dtype=torch.float32) - length // 2 for length in size)
    return 1 - torch.exp(-(y[:, None] ** 2 + x**2) / (2 * sigma**2))


class FrequencyFilter(nn.Module):
    """Two layers on the spectrum of a map whose highest frequencies are gated, and the map added.

    Args:
        channels: Of the map.

    Source: SCAN paper, section 3.2 and release, where the real part of the inverse transform is taken.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.conv2 = nn.Conv2d(2 * channels, 2 * channels, 1)

    def forward(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        """Maps (B, C, h, w) float32 to maps of the same shape; ``sigma`` is the width of the gate in frequencies."""
        with without_autocast(x.device):
            spectrum = torch.fft.fft2(x) * _low_pass((x.shape[2], x.shape[3]), sigma, x.device)
            parts = torch.cat([spectrum.real, spectrum.imag], 1)
            real, imaginary = self.conv2(functional.relu(self.conv1(parts))).chunk(2, 1)
            return x + torch.fft.ifft2(torch.complex(real, imaginary)).real


class SemanticPrior(nn.Module):
    """CLIP's places after three of its blocks as tokens that queries read.

    Args:
        width: Channels of CLIP's places.
        embed: Channels of the tokens.
        blocks: Blocks of CLIP, counted from 1, whose places are taken.
        sigmas: The width of the gate for each.

    Source: SCAN release: one filter for all, two linear layers without an activation between them.
    """

    def __init__(self, width: int, embed: int, blocks: Sequence[int], sigmas: Sequence[float]) -> None:
        super().__init__()
        self.blocks, self.sigmas = tuple(blocks), tuple(sigmas)
        self.filter = FrequencyFilter(width)
        self.linear1, self.linear2 = nn.Linear(width, embed), nn.Linear(embed, embed)

    def forward(self, blocks: Sequence[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
        """Tokens (B, P, embed) of what CLIP's blocks give, all of (B, 1 + L, width), on a grid of ``size``."""
        maps = [blocks[number - 1][:, 1:].mT.float().unflatten(2, size) for number in self.blocks]
        tokens = [self.filter(m, sigma).flatten(2).mT for m, sigma in zip(maps, self.sigmas, strict=True)]
        return self.linear2(self.linear1(torch.cat(tokens, 1)))


class QueryCalibration(nn.Module):
    """Embeddings of queries that read the prior, take CLIP's feature of the image in, and are refined one by one.

    Args:
        embed: Channels of the embeddings.
        reads: Attentions to the prior; behind each but the last is a norm.
        layers: Layers of the refinement, in which no query sees another.
        heads: Attention heads of both.
        hidden: Width of the refinement's MLPs.
        dropout: In the refinement.

    Source: SCAN release.
    """

    def __init__(
        self, embed: int, reads: int = 5, layers: int = 5, heads: int = 8, hidden: int = 2048, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.attentions = nn.ModuleList(nn.MultiheadAttention(embed, heads, batch_first=True) for _ in range(reads))
        self.norms = nn.ModuleList(nn.LayerNorm(embed) for _ in range(reads - 1))
        self.image_weight = nn.Parameter(torch.full((1,), 0.1))
        self.refinement = nn.ModuleList(
            nn.TransformerEncoderLayer(embed, heads, hidden, dropout, batch_first=True) for _ in range(layers)
        )

    def forward(self, queries: torch.Tensor, prior: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, Q, embed) of queries (B, Q, embed).

        Args:
            queries: The embeddings before.
            prior: (B, P, embed).
            image: (B, embed), of length 1.
        """
        x = queries
        for i, attention in enumerate(self.attentions):
            x = x + attention(x, prior, prior, need_weights=False)[0]
            if i < len(self.norms):
                x = self.norms[i](x)
        x = (x + self.image_weight * image[:, None]).flatten(0, 1)[:, None]  # each query is a sequence of its own
        for layer in self.refinement:
            x = layer(x)
        return x[:, 0].unflatten(0, queries.shape[:2])
