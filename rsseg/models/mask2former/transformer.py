"""The transformer decoder of Mask2Former: queries read from three maps in turn, where their masks are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from rsseg.models.mask2former.pixel_decoder import FeedForward

__all__ = ["QueryDecoder", "hidden_places"]


def hidden_places(masks: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Where the queries may not look: outside of their masks.

    Args:
        masks: (N, Q, H, W) logits.
        size: (h, w) of the map to look at.

    Returns:
        (N, Q, h * w) bool, True is hidden; a query whose mask is empty may look everywhere.
    """
    small = functional.interpolate(masks.detach(), size=size, mode="bilinear", align_corners=False)
    hidden = small.flatten(2) < 0
    return hidden & ~hidden.all(-1, keepdim=True)


class _Attention(nn.Module):
    """Attention with the input added; positions take part in where to look, not in what is read."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)

    def forward(
        self,
        queries: torch.Tensor,
        query_positions: torch.Tensor,
        values: torch.Tensor,
        value_positions: torch.Tensor,
        hidden: torch.Tensor | None = None,
    ) -> torch.Tensor:
        mask = None if hidden is None else hidden.repeat_interleave(self.heads, 0)
        keys = values + value_positions
        out, _ = self.attn(queries + query_positions, keys, values, attn_mask=mask, need_weights=False)
        return queries + out


class _Layer(nn.Module):
    """Queries look at a map, then at each other; norms come after the residuals."""

    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = _Attention(dim, heads)
        self.cross_attn = _Attention(dim, heads)
        self.ffn = FeedForward(dim, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))

    def forward(
        self,
        queries: torch.Tensor,
        query_positions: torch.Tensor,
        values: torch.Tensor,
        value_positions: torch.Tensor,
        hidden: torch.Tensor,
    ) -> torch.Tensor:
        queries = self.norms[0](self.cross_attn(queries, query_positions, values, value_positions, hidden))
        queries = self.norms[1](self.self_attn(queries, query_positions, queries, query_positions))
        return self.norms[2](self.ffn(queries))


class QueryDecoder(nn.Module):
    """The layers, and the norm of what they give out.

    Args:
        dim: Channels of queries and maps.
        layers: How many.
        heads: Attention heads.
        hidden: Width of the MLPs.

    Source: Mask2Former paper, section 3.2; names of the parameters are those of mmdet, which the release uses.
    """

    def __init__(self, dim: int = 256, layers: int = 9, heads: int = 8, hidden: int = 2048) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(dim, heads, hidden) for _ in range(layers))
        for parameter in self.layers.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_normal_(parameter)
        self.post_norm = nn.LayerNorm(dim)

    def forward(
        self,
        queries: tuple[torch.Tensor, torch.Tensor],
        maps: Sequence[torch.Tensor],
        positions: Sequence[torch.Tensor],
        mask_map: torch.Tensor,
        mask_embed: nn.Module,
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """What the queries become, before the first layer and after each.

        Args:
            queries: Contents and positions, both (Q, dim).
            maps: (N, dim, h, w) each; layer i looks at map i modulo their number.
            positions: (h * w, dim) for each map.
            mask_map: (N, dim, H, W), of which the masks are made.
            mask_embed: Queries (N, Q, dim) to the weights (N, Q, dim) of their masks.

        Returns:
            Layers + 1 pairs: normed queries (N, Q, dim) and logits of their masks (N, Q, H, W).
        """

        def read_out(contents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            normed = self.post_norm(contents)
            return normed, torch.einsum("nqc,nchw->nqhw", mask_embed(normed), mask_map)

        contents = queries[0].expand(len(mask_map), -1, -1)
        outs = [read_out(contents)]
        for i, layer in enumerate(self.layers):
            values = maps[i % len(maps)]
            hidden = hidden_places(outs[-1][1], (values.shape[2], values.shape[3]))
            contents = layer(contents, queries[1], values.flatten(2).mT, positions[i % len(maps)], hidden)
            outs.append(read_out(contents))
        return outs
