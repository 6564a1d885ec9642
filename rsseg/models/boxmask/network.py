"""The box-to-mask network: an EfficientNet-Lite encoder that also sees the box, and a light top-down decoder.

Only torch is needed here; whoever builds the network hands the encoder over.  Shapes: B crops of S x S pixels, S a
multiple of 32; P prompt maps (horizontal box, rotated box, see :mod:`rsseg.models.boxmask.crops`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BoxMaskDecoder", "encode_crops"]


def _convolution(inputs: int, outputs: int, kernel: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU6."""
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class BoxMaskDecoder(nn.Module):
    """Prompt maps into the encoder's stem, and its maps at strides 2 to 32 into logits.

    Args:
        in_channels: Channels of the encoder's maps, finest first.
        stem_channels: Channels of the encoder's first convolution.
        prompts: P, number of prompt maps.
        channels: Channels of the decoder.

    Source: ours; top-down sums as in feature pyramid networks (Lin et al. 2017), depthwise separable convolutions.
    """

    def __init__(
        self, in_channels: Sequence[int], stem_channels: int = 32, prompts: int = 2, channels: int = 48
    ) -> None:
        super().__init__()
        self.prompt_stem = nn.Conv2d(prompts, stem_channels, 3, 2, bias=False)
        nn.init.zeros_(self.prompt_stem.weight)  # the encoder starts as it was pre-trained
        self.laterals = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in in_channels)
        self.blocks = nn.ModuleList(
            nn.Sequential(_convolution(channels, channels, 3, channels), _convolution(channels, channels))
            for _ in in_channels
        )
        self.classifier: Any = nn.Conv2d(channels + prompts, 1, 3, padding=1)

    def forward(self, maps: Sequence[Tensor], prompts: Tensor) -> Tensor:
        """Logits (B, 1, S, S) of the encoder's maps, finest first, and the prompt maps (B, P, S / 2, S / 2)."""
        x = self.blocks[-1](self.laterals[-1](maps[-1]))
        for level in range(len(maps) - 2, -1, -1):
            x = F.interpolate(x, scale_factor=2, mode="nearest") + self.laterals[level](maps[level])
            x = self.blocks[level](x)
        # a convolution of both side by side, as a sum: joining them would rearrange the memory (4 times the time)
        weight, shown = self.classifier.weight.split([x.shape[1], prompts.shape[1]], dim=1)
        logits = F.conv2d(x, weight, padding=1).float()
        logits = logits + F.conv2d(prompts.float(), shown.float(), self.classifier.bias.float(), padding=1)
        return F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)


def encode_crops(encoder: Any, decoder: BoxMaskDecoder, images: Tensor, prompts: Tensor) -> list[Tensor]:
    """Maps of the encoder at strides 2 to 32, the prompt maps added to what its first convolution gives.

    Args:
        encoder: timm's EfficientNet with ``features_only=True``: ``conv_stem``, ``bn1`` and ``blocks``.
        decoder: Holds the convolution of the prompt maps.
        images: (B, 3, S, S) normalised.
        prompts: (B, P, S, S) in -1..1.
    """
    wanted = {row["stage"] for row in encoder.feature_info}
    stem = decoder.prompt_stem(F.pad(prompts, (0, 1, 0, 1)))  # the padding of TensorFlow, as the encoder's
    x = encoder.bn1(encoder.conv_stem(images) + stem)
    maps = [x] if 0 in wanted else []
    for stage, block in enumerate(encoder.blocks, start=1):
        x = block(x)
        if stage in wanted:
            maps.append(x)
    return maps
