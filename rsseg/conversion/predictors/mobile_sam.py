"""MobileSAM's image encoder: TinyViT at 1024 px, whose last merging keeps the resolution, and SAM's neck."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from rsseg.errors import ConfigError, MissingPackageError

__all__ = ["TinyViTEncoder", "from_public_keys"]

_CLASSIFIER = ("image_encoder.norm_head.", "image_encoder.head.")
"""What TinyViT's pre-training left in the public file; no mask depends on it."""
_UNITS = (".c.", ".conv2d."), (".bn.", ".bn2d.")
"""Names of the parts of a convolution: in the public file, here."""


class TinyViTEncoder(nn.Module):
    """TinyViT (mmpretrain's) as image encoder of Segment Anything.

    Args:
        img_size: Input side in pixels, a multiple of 16.
        embed_dims: Channels of the four stages.
        depths: Blocks of the four stages.
        num_heads: Attention heads of the four stages; the first one, of convolutions, ignores its own.
        window_sizes: Sides of the attention windows in tokens; the first one is ignored likewise.
        out_chans: Channels of the embedding.

    Raises:
        ConfigError: ``img_size`` is no multiple of 16.
        ImportError: mmpretrain or segment-anything is not installed.

    Source: Zhang et al. 2023, MobileSAM, and its public repository: the merging before the last stage has stride 1,
    so that the embedding lies at stride 16 as SAM's does.
    """

    def __init__(
        self,
        img_size: int = 1024,
        embed_dims: Sequence[int] = (64, 128, 160, 320),
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (2, 4, 5, 10),
        window_sizes: Sequence[int] = (7, 7, 14, 7),
        out_chans: int = 256,
    ) -> None:
        super().__init__()
        if img_size % 16:
            raise ConfigError(f"img_size must be a multiple of 16, not {img_size}")
        try:
            from mmpretrain.models.backbones import tinyvit
        except ImportError as error:
            raise MissingPackageError(f'MobileSAM needs mmpretrain ({error}): pip install "rsseg[mm]"') from error
        self.img_size = img_size
        self.patch_embed = tinyvit.PatchEmbed(3, embed_dims[0], (img_size, img_size))
        self.layers = nn.ModuleList()
        for i, stride in enumerate((4, 8, 16, 16)):
            shared: dict[str, Any] = {
                "in_channels": embed_dims[i],
                "resolution": (img_size // stride, img_size // stride),
                "depth": depths[i],
                "downsample": tinyvit.PatchMerging if i < 3 else None,
                "out_channels": embed_dims[min(i + 1, 3)],
            }
            if i == 0:
                self.layers.append(tinyvit.ConvStage(act_cfg={"type": "GELU"}, **shared))
            else:
                stage = tinyvit.BasicStage(num_heads=num_heads[i], window_size=window_sizes[i], **shared)
                self.layers.append(stage)
        last_merging: Any = self.layers[2].downsample
        last_merging.conv2.conv2d.stride = (1, 1)
        self.neck = _neck(embed_dims[3], out_chans)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, out_chans, S / 16, S / 16) of normalised, padded images (B, 3, S, S)."""
        self._renew_biases()
        tokens = self.patch_embed(images)
        for layer in self.layers:
            tokens = layer(tokens)
        side = self.img_size // 16
        grid: torch.Tensor = tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)
        embedding: torch.Tensor = self.neck(grid)
        return embedding

    def _renew_biases(self) -> None:
        """Attention keeps a copy of its biases for evaluation, which loading or moving the weights leaves behind."""
        attention: Any
        for attention in self.layers.modules():
            if hasattr(attention, "attention_bias_idxs") and not self.training:
                attention.ab = attention.attention_biases[:, attention.attention_bias_idxs]


def _neck(channels: int, out_chans: int) -> nn.Sequential:
    """SAM's neck: two convolutions without bias, each with a norm over channels."""
    from segment_anything.modeling.common import LayerNorm2d

    return nn.Sequential(
        nn.Conv2d(channels, out_chans, 1, bias=False),
        LayerNorm2d(out_chans),
        nn.Conv2d(out_chans, out_chans, 3, padding=1, bias=False),
        LayerNorm2d(out_chans),
    )


def from_public_keys(state: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Weights of the public file (mobile_sam.pt) under the names they have here.

    Args:
        state: Keys as published: ``image_encoder.*`` of TinyViT, ``prompt_encoder.*``, ``mask_decoder.*``.

    Returns:
        The weights by their names here, and the keys left out by design: the classifier's.
    """
    renamed, left_out = {}, []
    for key, value in state.items():
        if key.startswith(_CLASSIFIER):
            left_out.append(key)
            continue
        if key.startswith("image_encoder."):
            for theirs, ours in _UNITS:
                key = key.replace(theirs, ours)
        renamed[key] = value
    return renamed, left_out
