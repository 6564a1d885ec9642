"""Mask2Former's queries with a mask, an embedding in CLIP's joint space and a bias for CLIP's attention each.

Shapes: B images, Q queries, C channels of queries and maps, E channels of the joint space, H heads of CLIP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmseg.models.utils import LayerNorm2d
from torch import nn
from torch.nn import functional

from rsseg.models.autocast import without_autocast
from rsseg.models.mask2former.proposals import MaskProposals, perceptron

__all__ = ["EmbeddedProposals", "Proposal", "pool_masks"]

_LARGEST_SCALE = 10.0


class Proposal(NamedTuple):
    """What a layer proposes for B images.

    Attributes:
        embeddings: (B, Q, E), of the length of the learned scale.
        masks: (B, Q, h, w) logits.
        bias: (B, H, Q, h, w), what is added to the scores of CLIP's attention.
    """

    embeddings: torch.Tensor
    masks: torch.Tensor
    bias: torch.Tensor


def pool_masks(maps: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Means (B, Q, C) of maps (B, C, h, w) where masks (B, Q, h, w), logits, are above 0; zeros where none is.

    Sums are float32 (or wider), also under autocast: half precision does not count the places of a large image.
    """
    wide = torch.promote_types(maps.dtype, torch.float32)
    with without_autocast(maps.device):
        inside = (masks.detach() > 0).to(wide)
        count = inside.sum((2, 3))[..., None]
        return (torch.einsum("bchw,bqhw->bqc", maps.to(wide), inside) / count.clamp(min=1)).to(maps.dtype)


class EmbeddedProposals(MaskProposals):
    """Four maps of a backbone, with three of CLIP's added to the coarser ones, to proposals.

    Args:
        in_channels: Channels of the backbone's maps.
        clip_width: Channels of CLIP's maps.
        clip_heads: Heads of CLIP's attention.
        embed: Channels of the joint space.
        **sizes: As for :class:`MaskProposals`.

    Source: EBSeg release (names of what is not Mask2Former's).
    """

    def __init__(self, in_channels: Sequence[int], clip_width: int, clip_heads: int, embed: int, **sizes: Any) -> None:
        super().__init__(in_channels, **sizes)
        channels = self.channels
        self.clip_heads = clip_heads
        self.clip_fusion_layers = nn.ModuleList(
            nn.Sequential(LayerNorm2d(clip_width), nn.Conv2d(clip_width, own, 1)) for own in in_channels[1:]
        )
        self.pool_proj = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, channels))
        self.mask_embed1 = perceptron(channels, embed)
        self.attn_proj = perceptron(channels, channels * clip_heads)
        self.bias_scaling = nn.Linear(1, 1)
        self.logit_scale = nn.Parameter(torch.ones(()))

    def fuse(self, maps: Sequence[torch.Tensor], clip: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The backbone's maps, with CLIP's brought to their sizes and added to the three coarser ones."""
        out = list(maps[:1])
        for layer, own, seen in zip(self.clip_fusion_layers, maps[1:], clip, strict=True):
            out.append(own + functional.interpolate(layer(seen), own.shape[2:], mode="bilinear", align_corners=False))
        return out

    def forward(  # type: ignore[override]  # CLIP's maps are needed too
        self, maps: Sequence[torch.Tensor], clip: Sequence[torch.Tensor], last: bool = False
    ) -> list[Proposal]:
        """Proposals before the first layer and after each, or of the last layer alone.

        Args:
            maps: The backbone's, (B, in_channels[i], h, w), finest first.
            clip: CLIP's, (B, clip_width, h, w), for the three coarser ones.
            last: Only the last layer's are wanted.
        """
        layers, mask_map = self.propose(self.fuse(maps, clip))
        heads = self.attn_proj(mask_map.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).unflatten(1, (self.clip_heads, -1))
        return [self._describe(*layer, mask_map, heads) for layer in layers[-1 if last else 0 :]]

    def _describe(
        self, queries: torch.Tensor, masks: torch.Tensor, mask_map: torch.Tensor, heads: torch.Tensor
    ) -> Proposal:
        """What is proposed by queries (B, Q, C) with their masks, given the maps of masks and of CLIP's heads."""
        pooled = self.pool_proj(pool_masks(mask_map, masks))
        embeddings = functional.normalize(self.mask_embed1(pooled + queries), dim=-1)
        bias = torch.einsum("bqc,bnchw->bnqhw", self.mask_embed(queries), heads)
        scaled = self.bias_scaling(bias[..., None])[..., 0]
        return Proposal(self.logit_scale.clamp(max=_LARGEST_SCALE) * embeddings, masks, scaled)
