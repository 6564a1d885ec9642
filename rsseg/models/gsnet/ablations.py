"""What stands in GSNet's places in the ablations of the paper's table 3 and in CAT-Seg.

Shapes: B images, T classes (prompts), C channels, h x w places of the coarse grid.
"""

from __future__ import annotations

from typing import Any

import torch
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.models.gsnet.fusion import cost_volume, embed_costs
from rsseg.models.gsnet.segmentor import GSNet, Streams

__all__ = ["ConcatFusion", "CostEmbedding", "FusionQuery", "SpecialistGSNet"]


@MODELS.register_module()
class CostEmbedding(nn.Module):
    """``conv(costs)`` of one stream: CAT-Seg's embedding, or with a sigmoid what is left of QGFF without the other.

    Args:
        channels: Channels of the embedding.
        kernel: Size of the convolution.
        sigmoid: Squash the embedding as QGFF does; CAT-Seg does not.

    Source: CAT-Seg's public code; GSNet paper, table 3, rows A to C.  The name of the parameter is theirs.
    """

    def __init__(self, channels: int = 128, kernel: int = 7, sigmoid: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, kernel, padding=kernel // 2)
        self.sigmoid = sigmoid

    def forward(self, clip: torch.Tensor, dino: torch.Tensor | None, text: torch.Tensor) -> torch.Tensor:
        """Embedding (B, T, channels, h, w).

        Args:
            clip: The stream's features (B, C, h, w).
            dino: Not used.
            text: Embeddings of the prompts (T, C).
        """
        maps = embed_costs(self.conv1, cost_volume(clip, text))
        return (maps.sigmoid() if self.sigmoid else maps).unflatten(0, (clip.shape[0], text.shape[0]))


@MODELS.register_module()
class ConcatFusion(nn.Module):
    """``Linear([clip, dino, text])`` at every place, each of the three of length 1: "Cat" of table 3.

    Nothing but the text differs between classes, so each of the three is projected once and the results are added.

    Args:
        embed: Channels C of each of the three.
        channels: Channels of the embedding.

    Source: GSNet paper, table 3, row E.  Lengths of 1 are those of the feature volume that CAT-Seg compares with.
    """

    def __init__(self, embed: int = 512, channels: int = 128) -> None:
        super().__init__()
        self.projection = nn.Linear(3 * embed, channels)

    def forward(self, clip: torch.Tensor, dino: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Embedding (B, T, channels, h, w).

        Args:
            clip: CLIP's features (B, C, h, w).
            dino: The specialist's features (B, C, h, w).
            text: Embeddings of the prompts (T, C).
        """
        of_clip, of_dino, of_text = self.projection.weight.chunk(3, dim=1)
        image = functional.conv2d(functional.normalize(clip, dim=1), of_clip[..., None, None], self.projection.bias)
        image = image + functional.conv2d(functional.normalize(dino, dim=1), of_dino[..., None, None])
        return image[:, None] + functional.linear(functional.normalize(text, dim=-1), of_text)[..., None, None]


@MODELS.register_module()
class FusionQuery(nn.Module):
    """One cost volume of both streams' features, fused before they meet the text: "Fusion Q" of table 3.

    Args:
        embed: Channels C of both streams' features.
        channels: Channels of the embedding.
        kernel: Size of the convolution over the costs.

    Source: GSNet paper, table 3, row F.  It does not say what fuses: here a linear projection of the two, one after
    the other, at every place; costs are cosines and their embedding is squashed, as in QGFF.
    """

    def __init__(self, embed: int = 512, channels: int = 128, kernel: int = 7) -> None:
        super().__init__()
        self.fuse = nn.Conv2d(2 * embed, embed, 1)
        self.conv1 = nn.Conv2d(1, channels, kernel, padding=kernel // 2)

    def forward(self, clip: torch.Tensor, dino: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Embedding (B, T, channels, h, w).

        Args:
            clip: CLIP's features (B, C, h, w).
            dino: The specialist's features (B, C, h, w).
            text: Embeddings of the prompts (T, C).
        """
        costs = cost_volume(self.fuse(torch.cat([clip, dino], dim=1)), text)
        return embed_costs(self.conv1, costs).sigmoid().unflatten(0, costs.shape[:2])


@MODELS.register_module()
class SpecialistGSNet(GSNet):
    """GSNet that sees images through the specialist alone; CLIP reads the texts.

    The specialist's features stand where CLIP's do, in the costs and as the aggregator's guidance.  CLIP's tower for
    images stays, because its files have it; it is frozen and never run.

    Args:
        **settings: See :class:`GSNet`; ``fusion`` gets the specialist's features in both places, ``decoder.guidance``
            must not name "clip".

    Raises:
        ConfigError: There is no specialist, or the decoder takes guidance of CLIP.

    Source: GSNet paper, table 3, row C.
    """

    dino: Any

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        if self.dino is None or "clip" in self.decoder.guidance:
            raise ConfigError("SpecialistGSNet requires dino, and a decoder.guidance without 'clip'")
        self.clip.visual.requires_grad_(False)

    def extract_feat(self, inputs: torch.Tensor) -> Streams:
        """What the specialist gives for images (B, 3, H, W)."""
        special, maps = self.encoder.dino(self.dino(inputs))
        return Streams(special, special, None, maps)
