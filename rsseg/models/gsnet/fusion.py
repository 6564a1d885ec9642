"""QGFF: cost volumes of two image streams against the prompts, embedded and fused for each class alone.

Shapes: B images, T classes (prompts), C channels, h x w places of the coarse grid.
"""

from __future__ import annotations

import torch
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

__all__ = ["QueryGuidedFusion", "cost_volume", "embed_costs"]


def cost_volume(features: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """Cosine of every place's feature with every class's text.

    Args:
        features: (B, C, h, w), of any length.
        text: (T, C), of any length.

    Returns:
        (B, T, h, w), -1 to 1; no temperature.

    Source: GSNet paper, equation 1.
    """
    features, text = functional.normalize(features, dim=1), functional.normalize(text, dim=-1)
    return torch.einsum("bchw,tc->bthw", features, text)


def embed_costs(conv: nn.Conv2d, costs: torch.Tensor) -> torch.Tensor:
    """A convolution of every class's map alone: (B, T, h, w) -> (B * T, C, h, w)."""
    return conv(costs.flatten(0, 1)[:, None].contiguous(memory_format=torch.channels_last))


@MODELS.register_module()
class QueryGuidedFusion(nn.Module):
    """``sigmoid(conv([zg, zs])) + zg`` with ``zg = sigmoid(conv(CLIP's costs))`` and ``zs`` the same of DINO's.

    A module in this place takes both streams' features and the text and gives an embedding of every class at every
    place; ``dino`` is None in a model without that stream.

    Args:
        channels: Channels of the embedding.
        kernel: Size of the convolutions.

    Source: GSNet paper, equations 1-3; release: convolutions with bias, both sigmoids before the residual.
    """

    def __init__(self, channels: int = 128, kernel: int = 7) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, kernel, padding=kernel // 2)
        self.conv2 = nn.Conv2d(1, channels, kernel, padding=kernel // 2)
        self.fusion_corr = nn.Conv2d(2 * channels, channels, kernel, padding=kernel // 2)

    def forward(self, clip: torch.Tensor, dino: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Embedding (B, T, channels, h, w).

        Args:
            clip: CLIP's features (B, C, h, w).
            dino: The specialist's features (B, C, h, w).
            text: Embeddings of the prompts (T, C).
        """
        general = embed_costs(self.conv1, cost_volume(clip, text)).sigmoid()
        special = embed_costs(self.conv2, cost_volume(dino, text)).sigmoid()
        fused = self.fusion_corr(torch.cat([general, special], dim=1)).sigmoid() + general
        return fused.unflatten(0, (clip.shape[0], text.shape[0]))
