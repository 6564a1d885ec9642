"""EoMT: a plain encoder that segments, since its last blocks read queries beside the patches.

Shapes: N images, Q queries, P prefix tokens (class and registers), h x w patches, C channels.
"""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from rsseg.errors import ConfigError
from rsseg.models.mask2former.head import QueryHead
from rsseg.models.mask2former.losses import LossSettings
from rsseg.models.mask2former.proposals import Layers
from rsseg.models.segmentor import Segmentor

__all__ = ["EoMT", "EoMTHead", "allowed_attention"]


def allowed_attention(masks: torch.Tensor, size: tuple[int, int], prefix: int, rate: torch.Tensor) -> torch.Tensor:
    """Who may look at whom: queries see the patches in their masks, everything else sees everything.

    Args:
        masks: (N, Q, H, W) logits.
        size: (h, w) of the patches.
        prefix: P; tokens are queries, prefix and patches, in this order.
        rate: Scalar from 0 to 1, the share of queries, drawn anew each time, that are held to their masks.

    Returns:
        (N, 1, T, T) bool with T = Q + P + h * w; True may look.
    """
    count, queries = masks.shape[:2]
    inside = functional.interpolate(masks.detach(), size=size, mode="bilinear").flatten(2) > 0
    free = torch.rand(count, queries, device=masks.device) > rate
    total = queries + prefix + inside.shape[2]
    out = torch.ones(count, 1, total, total, dtype=torch.bool, device=masks.device)
    out[:, 0, :queries, queries + prefix :] = inside | free[..., None]
    return out


class _Norm(nn.LayerNorm):
    """Norm over the channels of maps (N, C, H, W)."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _upscale(channels: int) -> nn.Sequential:
    """A map of twice the size."""
    return nn.Sequential(
        nn.ConvTranspose2d(channels, channels, 2, 2),
        nn.GELU(),
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        _Norm(channels, eps=1e-6),
    )


@MODELS.register_module()
class EoMTHead(QueryHead, BaseModule):
    """Queries, and what makes classes and masks of tokens.

    Args:
        channels: Of the encoder's tokens.
        num_classes: Classes, two or more.
        queries: How many.
        blocks: Last blocks of the encoder that read the queries.
        upscales: How often masks double the size of the grid of patches.
        loss: Options of :class:`LossSettings`.
        ignore_index: Value of unlabelled pixels.
        init_cfg: As for mmseg's heads.

    Attributes:
        mask_rates: (blocks,) share of queries that are held to their masks in each of these blocks; the hook
            ``AnnealMasks`` lowers it.  It is kept in checkpoints: blocks are used as they were trained last.

    Raises:
        ConfigError: ``num_classes`` is less than two.

    Source: EoMT (arXiv 2503.19108), section 3.
    """

    align_corners = False

    def __init__(
        self,
        channels: int,
        num_classes: int,
        queries: int = 100,
        blocks: int = 4,
        upscales: int = 2,
        loss: dict[str, Any] | None = None,
        ignore_index: int = 255,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_classes < 2:
            raise ConfigError(
                f"num_classes={num_classes}: EoMT requires at least two classes, one of which may be background"
            )
        self.num_classes = self.out_channels = num_classes
        self.channels, self.ignore_index, self.settings = channels, ignore_index, LossSettings(**(loss or {}))
        self.query = nn.Embedding(queries, channels)
        self.upscale = nn.Sequential(*(_upscale(channels) for _ in range(upscales)))
        self.mask_embed = nn.Sequential(
            nn.Linear(channels, channels),
            nn.GELU(),
            nn.Linear(channels, channels),
            nn.GELU(),
            nn.Linear(channels, channels),
        )
        self.cls_embed = nn.Linear(channels, num_classes + 1)
        self.register_buffer("mask_rates", torch.ones(blocks))
        self.mask_rates: torch.Tensor

    def read(self, tokens: torch.Tensor, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Queries (N, Q, C) and logits of their masks (N, Q, H, W) in normed tokens (N, Q + P + h * w, C)."""
        queries = tokens[:, : self.query.num_embeddings]
        patches = tokens[:, -size[0] * size[1] :].transpose(1, 2).unflatten(2, size)
        return queries, torch.einsum("nqc,nchw->nqhw", self.mask_embed(queries), self.upscale(patches))

    def forward(self, layers: Layers) -> Layers:
        """What :meth:`EoMT.extract_feat` gives: encoder and head are one network."""
        return layers


@MODELS.register_module()
class EoMT(Segmentor):
    """DINOv3 with an ``EoMTHead``.

    In training each of the last blocks is told by the masks before it where queries may look, and all masks are
    trained; in tests those blocks are whose rate is not 0.

    Args:
        backbone: A ``DINOv3`` that is a transformer.
        decode_head: An ``EoMTHead``.
        eps: Of all norms of the encoder, instead of timm's 1e-5: ``layer_norm_eps`` of a published configuration.
        **kwargs: As for ``Segmentor``.

    Raises:
        ConfigError: The encoder is another one, has other channels than the head, too few blocks, or is ``Cached``.

    Source: EoMT (arXiv 2503.19108); with DINOv3 as in its authors' release and in transformers.
    """

    def __init__(
        self, backbone: dict[str, Any], decode_head: dict[str, Any], eps: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(backbone=backbone, decode_head=decode_head, **kwargs)
        encoder, head = getattr(self.backbone, "encoder", None), self.decode_head
        if encoder is None or getattr(self.backbone, "patch", None) is None:
            raise ConfigError(f"EoMT needs a backbone of type DINOv3 that is a transformer, got {backbone.get('type')}")
        if hasattr(self.backbone, "feature_store"):
            raise ConfigError(
                "EoMT: its encoder reads the queries beside the image, so no features can be kept (Cached)"
            )
        depth, read = len(encoder.blocks), len(head.mask_rates)
        if encoder.embed_dim != head.channels or not 0 < read <= depth:
            raise ConfigError(
                f"decode_head: channels={head.channels}, blocks={read}; the encoder has {encoder.embed_dim} channels "
                f"and {depth} blocks"
            )
        for module in encoder.modules():
            if eps is not None and isinstance(module, nn.LayerNorm):
                module.eps = eps
        for block in encoder.blocks[depth - read :]:  # queries have no place in the image, as class and registers
            block.attn.num_prefix_tokens += head.query.num_embeddings
        if self.backbone.tuning.tune == "full":  # it is read even where the backbone's own maps would not be normed
            encoder.norm.requires_grad_(True)

    def extract_feat(self, inputs: torch.Tensor) -> Layers:
        """Images (N, bands, H, W) to queries and masks: before each block that reads queries, and at last.

        In tests only those layers are there that are needed.

        Raises:
            ConfigError: The sides are no multiples of the patches.
        """
        encoder, head, patch = self.backbone.encoder, self.decode_head, self.backbone.patch
        size = (inputs.shape[2] // patch, inputs.shape[3] // patch)
        if size != (inputs.shape[2] / patch, inputs.shape[3] / patch):
            raise ConfigError(
                f"EoMT: images of {inputs.shape[2]} x {inputs.shape[3]} pixels; train on crops whose sides are "
                f"multiples of {patch}"
            )
        tokens, rope = encoder._pos_embed(encoder.patch_embed(inputs))
        tokens = encoder.norm_pre(tokens)
        first, prefix = len(encoder.blocks) - len(head.mask_rates), encoder.num_prefix_tokens
        layers: Layers = []
        for i, block in enumerate(encoder.blocks):
            allowed = None
            if i == first:
                tokens = torch.cat([head.query.weight.expand(len(tokens), -1, -1).to(tokens.dtype), tokens], 1)
            if i >= first and (self.training or head.mask_rates[i - first] > 0):
                layers.append(head.read(encoder.norm(tokens), size))
                allowed = allowed_attention(layers[-1][1], size, prefix, head.mask_rates[i - first])
            if encoder.grad_checkpointing and self.training:
                tokens = checkpoint(block, tokens, rope, allowed, use_reentrant=False)
            else:
                tokens = block(tokens, rope=rope, attn_mask=allowed)
        layers.append(head.read(encoder.norm(tokens), size))
        return layers

    def encode_decode(self, inputs: torch.Tensor, batch_img_metas: list[dict[str, Any]]) -> torch.Tensor:
        """Scores (N, classes, H, W) of images of any size; what is missing to whole patches is filled with zeros."""
        height, width = inputs.shape[2:]
        patch = self.backbone.patch
        padded = functional.pad(inputs, (0, -width % patch, 0, -height % patch))
        layers = self.extract_feat(padded)
        return self.decode_head.scores(layers, self.decode_head.cls_embed, padded.shape[2:])[..., :height, :width]
