"""UNetFormer's decoder: attention in windows and along strips, beside convolutions, for maps at strides 4 to 32.

Shapes: (N, C, H, W) outside of the windows; inside (windows, heads, places of a window, channels of a head).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule, build_norm_layer
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError

__all__ = ["GlobalLocalAttention", "UNetFormerHead"]

RELU6 = dict(type="ReLU6")


def _extend(x: torch.Tensor, right: int, below: int) -> torch.Tensor:
    """(N, C, H + below, W + right): the map mirrored, or its edge repeated where it is too small to mirror."""
    fits = right < x.shape[3] and below < x.shape[2]
    return functional.pad(x, (0, right, 0, below), mode="reflect" if fits else "replicate")


def _resize(x: torch.Tensor, size: Sequence[int], align_corners: bool = False) -> torch.Tensor:
    return functional.interpolate(x, size=tuple(size), mode="bilinear", align_corners=align_corners)


def _relative_places(window: int) -> torch.Tensor:
    """(window², window²) int64: which row of the bias table belongs to two places of a window, by their distance."""
    row, column = torch.arange(window).repeat_interleave(window), torch.arange(window).repeat(window)
    down, right = (axis[:, None] - axis[None] + window - 1 for axis in (row, column))
    return down * (2 * window - 1) + right


def _separable(channels: int, size: int, norm_cfg: dict[str, Any], norm_last: bool) -> nn.Sequential:
    """A convolution of each channel by itself, a 1x1 convolution, and the normalisation between or after them."""
    each = nn.Conv2d(channels, channels, size, padding=(size - 1) // 2, groups=channels, bias=False)
    mix, norm = nn.Conv2d(channels, channels, 1, bias=False), build_norm_layer(norm_cfg, channels)[1]
    return nn.Sequential(each, mix, norm) if norm_last else nn.Sequential(each, norm, mix)


class GlobalLocalAttention(nn.Module):
    """Attention inside of windows, averaged along columns and rows, plus two convolutions.

    Args:
        channels: Of the map.
        heads: Number of attention heads.
        window: Side of a window; even, since the averages reach (window - 2) / 2 places back and window / 2 ahead.
        norm_cfg: Normalisation of the convolutions.
        norm_last: The last convolution is normalised at its end instead of in its middle.

    Source: UNetFormer paper, section 3.3 and figure 3.
    """

    relative_places: torch.Tensor

    def __init__(self, channels: int, heads: int, window: int, norm_cfg: dict[str, Any], norm_last: bool) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.local1 = ConvModule(channels, channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=None)
        self.local2 = ConvModule(channels, channels, 1, norm_cfg=norm_cfg, act_cfg=None)
        self.proj = _separable(channels, window, norm_cfg, norm_last)
        before = window // 2 - 1
        self.along_columns = nn.AvgPool2d((window, 1), 1, (before, 0))
        self.along_rows = nn.AvgPool2d((1, window), 1, (0, before))
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_places", _relative_places(window), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) of any size."""
        height, width = x.shape[2:]
        out = self._windows(_extend(x, -width % self.window, -height % self.window))[..., :height, :width]
        out = self.along_columns(_extend(out, 0, 1)) + self.along_rows(_extend(out, 1, 0))
        out = out + self.local2(x) + self.local1(x)
        return self.proj(_extend(out, 1, 1))[..., :height, :width]

    def _windows(self, x: torch.Tensor) -> torch.Tensor:
        """Attention in windows of (N, C, H, W), whose sides are multiples of the window."""
        n, channels, height, width = x.shape
        side, down, right = self.window, height // self.window, width // self.window
        split = self.qkv(x).view(n, 3, self.heads, channels // self.heads, down, side, right, side)
        q, k, v = split.permute(1, 0, 4, 6, 2, 5, 7, 3).reshape(3, n * down * right, self.heads, side * side, -1)
        bias = self.relative_position_bias_table[self.relative_places].permute(2, 0, 1)
        weights = (q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5 + bias
        out = (weights.softmax(-1) @ v).view(n, down, right, self.heads, side, side, -1)
        return out.permute(0, 3, 6, 1, 4, 2, 5).reshape(n, channels, height, width)


class _Block(nn.Module):
    """Transformer block: attention and two 1x1 convolutions, each normalised before and added to its input."""

    def __init__(self, channels: int, heads: int, window: int, norm_cfg: dict[str, Any], norm_last: bool) -> None:
        super().__init__()
        self.norm1 = build_norm_layer(norm_cfg, channels)[1]
        self.attention = GlobalLocalAttention(channels, heads, window, norm_cfg, norm_last)
        self.norm2 = build_norm_layer(norm_cfg, channels)[1]
        self.mlp = nn.Sequential(nn.Conv2d(channels, 4 * channels, 1), nn.ReLU6(), nn.Conv2d(4 * channels, channels, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class _Fusion(nn.Module):
    """A map at twice its size, added to one of the backbone with learned weights that sum to 1, then a convolution."""

    def __init__(self, in_channels: int, channels: int, norm_cfg: dict[str, Any], full: bool) -> None:
        super().__init__()
        size, norm = (3, norm_cfg) if full else (1, None)
        self.lateral = ConvModule(
            in_channels, channels, size, padding=size // 2, bias=False, norm_cfg=norm, act_cfg=None
        )
        self.weights = nn.Parameter(torch.ones(2))
        self.smooth = ConvModule(channels, channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=RELU6)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        weights = self.weights.relu()
        own, below = weights / (weights.sum() + 1e-8)
        return self.smooth(own * self.lateral(skip) + below * _resize(x, skip.shape[2:]))


class _Refinement(nn.Module):
    """Weights for places and for channels, each applied by itself, added and mixed, beside a 1x1 convolution."""

    def __init__(self, channels: int, norm_cfg: dict[str, Any], norm_last: bool) -> None:
        super().__init__()
        squeezed = channels // 16
        self.places = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.channels = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1, bias=False),
            nn.ReLU6(),
            nn.Conv2d(squeezed, channels, 1, bias=False),
        )
        self.shortcut = ConvModule(channels, channels, 1, norm_cfg=norm_cfg, act_cfg=None)
        self.proj = _separable(channels, 3, norm_cfg, norm_last)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weighted = self.places(x).sigmoid() * x + self.channels(x).sigmoid() * x
        return functional.relu6(self.proj(weighted) + self.shortcut(x))


@MODELS.register_module()
class UNetFormerHead(BaseDecodeHead):
    """Three transformer blocks from the coarsest map up, each fused with the next map, and a refined finest one.

    Args:
        in_channels: Channels of the backbone's four maps, finest first.
        channels: Channels of the decoder.
        num_heads: Attention heads of the blocks.
        window_size: Side of the attention windows.
        full: The variant for transformers (FT-UNetFormer): 3x3 convolutions with normalisation instead of plain 1x1
            ones on the backbone's maps, and normalisation at the end of separable convolutions.
        auxiliary: Weight of a loss on the sum of the three blocks' maps, in training; None is without.
        dropout_ratio: Share of channels dropped before the classifier.
        norm_cfg: Normalisation.
        **kwargs: As for mmseg's decode heads (``num_classes``, ``loss_decode``, ``in_index`` ...).

    Raises:
        ConfigError: Not four maps, ``channels`` is no multiple of ``num_heads``, or ``window_size`` is odd.

    Source: Wang et al., "UNetFormer", 2022, and its release GeoSeg, whose two variants differ as said above.  The
    release asks for maps whose sides double; here a map is scaled to the next one's size, and one too small to mirror
    is continued by its edge.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int = 64,
        num_heads: int = 8,
        window_size: int = 8,
        full: bool = False,
        auxiliary: float | None = 0.4,
        dropout_ratio: float = 0.1,
        norm_cfg: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if len(in_channels) != 4:
            raise ConfigError(f"UNetFormer requires the four maps of a backbone, got in_channels={in_channels}")
        if channels % num_heads or window_size % 2:
            raise ConfigError(
                f"channels={channels} must be a multiple of num_heads={num_heads}, and window_size={window_size} must "
                "be even"
            )
        norm_cfg = norm_cfg or dict(type="BN")
        kwargs.setdefault("in_index", list(range(4)))
        kwargs.setdefault("init_cfg", None)  # as in the release, layers keep torch's initial weights
        super().__init__(
            list(in_channels),
            channels,
            input_transform="multiple_select",
            norm_cfg=norm_cfg,
            dropout_ratio=dropout_ratio,
            **kwargs,
        )
        self.conv_seg = nn.Conv2d(channels, self.out_channels, 1, bias=False)
        finest, *coarser = in_channels
        self.enter = ConvModule(coarser[-1], channels, 1, norm_cfg=norm_cfg, act_cfg=None)
        block = (channels, num_heads, window_size, norm_cfg, full)
        self.blocks = nn.ModuleList(_Block(*block) for _ in coarser)
        self.fusions = nn.ModuleList(_Fusion(n, channels, norm_cfg, full) for n in [*coarser[-2::-1], finest])
        self.refinement = _Refinement(channels, norm_cfg, full)
        self.leave = ConvModule(channels, channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=RELU6)
        self.auxiliary: nn.Sequential | None = None
        if auxiliary is not None:
            convolution = ConvModule(channels, channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=RELU6)
            last = nn.Conv2d(channels, self.out_channels, 1, bias=False)
            self.auxiliary = nn.Sequential(convolution, nn.Dropout(0.1), last)
            loss = dict(type="CrossEntropyLoss", loss_weight=auxiliary, avg_non_ignore=True, loss_name="loss_aux")
            self.auxiliary_loss = MODELS.build(loss)

    def forward(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Logits (N, num_classes, H, W) of the size of the finest of the backbone's maps, finest first."""
        return self.cls_seg(self._features(inputs)[0])

    def loss(self, inputs: Any, batch_data_samples: Any, train_cfg: Any) -> dict[str, torch.Tensor]:
        """The losses of ``loss_decode``, and ``loss_aux``."""
        features, middle = self._features(inputs)
        losses = self.loss_by_feat(self.cls_seg(features), batch_data_samples)
        if self.auxiliary is not None:
            size = middle[-1].shape[2:]
            maps = [_resize(x, size, align_corners=True) for x in middle[:-1]]
            labels = self._stack_batch_gt(batch_data_samples).squeeze(1)
            logits = _resize(self.auxiliary(sum(maps, middle[-1])), labels.shape[1:])
            losses["loss_aux"] = self.auxiliary_loss(logits, labels, ignore_index=self.ignore_index)
        return losses

    def _features(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """What the classifier gets, and what the blocks gave, coarsest first."""
        coarsest, *skips = reversed(self._transform_inputs(inputs))
        x, middle = self.enter(coarsest), []
        for block, fusion, skip in zip(self.blocks, self.fusions, skips, strict=True):
            middle.append(block(x))
            x = fusion(middle[-1], skip)
        return self.leave(self.refinement(x)), middle
