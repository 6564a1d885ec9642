"""UNet's decoder: as the SAMRS release has it, on maps at strides 4 to 32, and the usual one, on strides 2 to 32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import build_norm_layer
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError

__all__ = ["UNetHead"]


def _double(x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) at twice the size, bilinear."""
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _convolution(in_channels: int, channels: int, norm_cfg: dict[str, Any]) -> nn.Sequential:
    convolution = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
    return nn.Sequential(convolution, build_norm_layer(norm_cfg, channels)[1], nn.ReLU(inplace=True))


class _Attention(nn.Module):
    """scSE: a weight for every channel, and one for every place; both weighted maps are added.

    Source: Roy et al., "Concurrent spatial and channel squeeze & excitation", 2018; a 16th of the channels in between.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(channels // 16, 1)
        self.channel = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, squeezed, 1), nn.ReLU(), nn.Conv2d(squeezed, channels, 1)
        )
        self.place = nn.Conv2d(channels, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) weighted."""
        return x * (self.channel(x).sigmoid() + self.place(x).sigmoid())


class _Block(nn.Module):
    """Twice the size (nearest), beside it the backbone's map of that size, then two 3x3 convolutions.

    With ``attention``, scSE weighs what enters a block that has such a map, and what leaves any block.
    """

    def __init__(
        self, in_channels: int, skip_channels: int, channels: int, norm_cfg: dict[str, Any], attention: bool = False
    ) -> None:
        super().__init__()
        self.conv1 = _convolution(in_channels + skip_channels, channels, norm_cfg)
        self.conv2 = _convolution(channels, channels, norm_cfg)
        before = attention and skip_channels > 0
        self.before = _Attention(in_channels + skip_channels) if before else nn.Identity()
        self.after = _Attention(channels) if attention else nn.Identity()

    def forward(self, x: torch.Tensor, skip: torch.Tensor | None) -> torch.Tensor:
        """(N, channels, 2H, 2W) from ``x`` (N, C, H, W) and the backbone's map ``skip``, if there is one."""
        x = functional.interpolate(x, scale_factor=2, mode="nearest")
        if skip is not None:
            if skip.shape[2:] != x.shape[2:]:  # an image whose sides are no multiples of 32
                skip = functional.interpolate(skip, size=x.shape[2:], mode="bilinear", align_corners=False)
            x = torch.cat([x, skip], dim=1)
        return self.after(self.conv2(self.conv1(self.before(x))))


class _PrintedClassifier(nn.Conv2d):
    """A 1x1 convolution, its logits at twice the size, ReLU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, classes, 2H, 2W) from (N, C, H, W)."""
        return _double(super().forward(x)).relu()


@MODELS.register_module()
class UNetHead(BaseDecodeHead):
    """A block for each map of the backbone; it doubles the size, and all but the last have the next map beside them.

    Parameters are named ``blocks.{0-3}.conv{1,2}.{0,1}.*`` and ``conv_seg.*``: files of the SAMRS release load by a
    change of prefix.  The logits are those of an image whose sides are rounded up to multiples of 32; mmseg's
    segmentors and ``MultiHeadSegmentor`` scale them to the image (the release leaves them as they are).

    Args:
        in_channels: Channels of the backbone's maps, finest first.
        decoder_channels: Channels of the blocks, coarsest first; the last are those before the classifier.
        head: ``"released"``: doubled features (bilinear), then a 3x3 classifier.  ``"printed"``: a 1x1 classifier,
            doubled logits (bilinear), then ReLU.  ``"plain"``: a 3x3 classifier, for backbones whose finest map has
            stride 2.
        attention: scSE in every block.
        centre: Two more convolutions on the coarsest map before the first block; for VGG, which ends with a pooling.
        norm_cfg: Normalisation of the blocks.
        dropout_ratio: Share of channels dropped before the classifier.
        **kwargs: As for mmseg's decode heads (``num_classes``, ``loss_decode``, ``in_index`` ...).

    Raises:
        ConfigError: ``head`` is neither, or there are not as many blocks as maps.

    Source: SAMRS paper, section 4.1.1, and its release.  In print both the decoder and the head end with a doubling,
    which would give logits of twice the image's size; here ``"printed"`` has the head's only.  ``"plain"``,
    ``attention`` and ``centre``: the Unet of segmentation_models_pytorch, which OpenEarthMap's table 3 counts.  Its
    last block has an attention that it never uses (195 parameters); here it is left out.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        decoder_channels: Sequence[int] = (512, 256, 128, 64),
        head: str = "released",
        attention: bool = False,
        centre: bool = False,
        norm_cfg: dict[str, Any] | None = None,
        dropout_ratio: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if head not in ("released", "printed", "plain"):
            raise ConfigError(f"head must be 'released', 'printed' or 'plain', not {head!r}")
        if len(in_channels) != len(decoder_channels):
            raise ConfigError(
                f"{len(in_channels)} maps require as many decoder blocks, got decoder_channels={decoder_channels}"
            )
        norm_cfg = norm_cfg or dict(type="BN")
        kwargs.setdefault("in_index", list(range(len(in_channels))))
        xavier = dict(type="Xavier", distribution="uniform", name="conv_seg")
        kwargs.setdefault(
            "init_cfg",
            dict(type="Kaiming", layer="Conv2d", distribution="uniform", a=0, mode="fan_in", override=xavier),
        )
        super().__init__(
            list(in_channels),
            decoder_channels[-1],
            input_transform="multiple_select",
            norm_cfg=norm_cfg,
            dropout_ratio=dropout_ratio,
            **kwargs,
        )
        self.head = head
        self.conv_seg = self.make_classifier(self.out_channels)
        first, *skips = reversed(in_channels)
        self.centre = nn.Sequential(*(_convolution(first, first, norm_cfg) for _ in range(2 if centre else 0)))
        sizes = zip([first, *decoder_channels[:-1]], [*skips, 0], decoder_channels, strict=True)
        self.blocks = nn.ModuleList(_Block(*channels, norm_cfg, attention) for channels in sizes)

    def forward(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Logits (N, num_classes, H, W) of the backbone's maps, finest first; H and W are multiples of 32."""
        x, *skips = reversed(self._transform_inputs(inputs))
        x = self.centre(x)
        for block, skip in zip(self.blocks, [*skips, None], strict=True):
            x = block(x, skip)
        return self.cls_seg(_double(x) if self.head == "released" else x)

    def make_classifier(self, classes: int) -> nn.Conv2d:
        """A new last layer for this number of classes; ``MultiHeadSegmentor`` takes one for every set."""
        if self.head == "printed":
            return _PrintedClassifier(self.channels, classes, 1)
        return nn.Conv2d(self.channels, classes, 3, padding=1)
