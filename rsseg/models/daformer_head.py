"""DAFormer's decoder: the four maps of a transformer, embedded, joined and seen at several dilations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.aspp_head import ASPPModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.decode_heads.sep_aspp_head import DepthwiseSeparableASPPModule
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor, nn

from rsseg.errors import ConfigError

__all__ = ["DAFormerHead"]


class _Embedding(nn.Module):
    """A linear layer for every place of a map."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.Linear(in_channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) of (N, in_channels, H, W)."""
        return self.proj(x.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, x.shape[2:])


class _DilatedFusion(nn.Module):
    """Convolutions of several dilations side by side, then a 3x3 convolution of all."""

    def __init__(
        self, in_channels: int, channels: int, dilations: Sequence[int], separable: bool, **options: Any
    ) -> None:
        super().__init__()
        build = DepthwiseSeparableASPPModule if separable else ASPPModule
        self.aspp_modules = build(dilations=dilations, in_channels=in_channels, channels=channels, **options)
        self.bottleneck = ConvModule(len(dilations) * channels, channels, 3, padding=1, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.bottleneck(torch.cat(self.aspp_modules(x), 1))


@MODELS.register_module()
class DAFormerHead(BaseDecodeHead):
    """Every map through a linear layer and to the size of the finest, all joined, fused, classified.

    Parameters are named as in DAFormer's release: ``embed_layers.{0-3}.proj.*``, ``fuse_layer.*``, ``conv_seg.*``.

    Args:
        num_classes: C.
        in_channels: Channels of the backbone's maps, finest first; MiT-B5's by default.
        channels: Width of the embeddings and after fusion.
        fusion: ``"aspp"``: convolutions with ``dilations``, then a 3x3 one.  ``"conv"``: one 1x1 convolution, as
            SegFormer's head has it.
        dilations: Of the fusion; 1 stands for a 1x1 convolution.
        separable: The dilated convolutions are depthwise, each followed by a 1x1 one.
        norm_cfg: Normalisation of the fusion.
        **kwargs: As for mmseg's decode heads (``loss_decode``, ``ignore_index`` ...).

    Raises:
        ConfigError: ``fusion`` is unknown.

    Source: Hoyer et al., "DAFormer", 2022, section 3.2 and table 7, and its release.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: Sequence[int] = (64, 128, 320, 512),
        channels: int = 256,
        fusion: str = "aspp",
        dilations: Sequence[int] = (1, 6, 12, 18),
        separable: bool = True,
        norm_cfg: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if fusion not in ("aspp", "conv"):
            raise ConfigError(f"fusion={fusion!r}: DAFormerHead can fuse by 'aspp' or 'conv'")
        kwargs.setdefault("in_index", list(range(len(in_channels))))
        super().__init__(
            list(in_channels),
            channels,
            num_classes=num_classes,
            input_transform="multiple_select",
            norm_cfg=norm_cfg or dict(type="BN"),
            **kwargs,
        )
        self.embed_layers = nn.ModuleDict({str(i): _Embedding(width, channels) for i, width in enumerate(in_channels)})
        joined = len(in_channels) * channels
        options = dict(conv_cfg=None, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.fuse_layer: nn.Module
        if fusion == "aspp":
            self.fuse_layer = _DilatedFusion(joined, channels, dilations, separable, **options)
        else:
            self.fuse_layer = ConvModule(joined, channels, 1, **options)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits (N, C, H, W) of the backbone's maps; H and W are those of the finest."""
        maps = self._transform_inputs(inputs)
        size = maps[0].shape[2:]
        embedded = [embed(x) for embed, x in zip(self.embed_layers.values(), maps, strict=True)]
        scaled = [resize(x, size=size, mode="bilinear", align_corners=self.align_corners) for x in embedded]
        return self.cls_seg(self.fuse_layer(torch.cat(scaled, 1)))
