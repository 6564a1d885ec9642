"""The pixel decoder of Mask2Former: deformable attention among three maps, then one finer map for the masks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from mmcv.cnn import ConvModule
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.models.deformable import DeformableAttention, pixel_centres

__all__ = ["FeedForward", "PixelDecoder", "sine_positions"]

_LEVELS = 3
_GROUPS = 32


def sine_positions(size: tuple[int, int], channels: int, device: torch.device | None = None) -> torch.Tensor:
    """Where each pixel is, as sines and cosines.

    Args:
        size: (h, w) of the map.
        channels: A multiple of 4; the first half says y, the second x.
        device: Of the result.

    Returns:
        (h * w, channels) float32.

    Source: DETR, appendix A.4, with coordinates that go up to 2 pi; the values are those of mmdet.
    """
    half = channels // 2
    rates = 10000 ** (2 * (torch.arange(half, device=device) // 2) / half)
    codes = []
    for length in size:
        angles = torch.arange(1.0, length + 1, device=device) / (length + 1e-6) * 2 * math.pi
        phases = angles[:, None] / rates
        codes.append(torch.stack([phases[:, 0::2].sin(), phases[:, 1::2].cos()], -1).flatten(1))
    y, x = codes
    return torch.cat([y[:, None].expand(-1, size[1], -1), x.expand(size[0], -1, -1)], -1).flatten(0, 1)


class FeedForward(nn.Module):
    """Two linear layers with a ReLU between them, and the input added.

    Args:
        dim: Channels in and out.
        hidden: Channels between the layers.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Sequential(nn.Linear(dim, hidden), nn.ReLU()), nn.Linear(hidden, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens (..., dim) to tokens of the same shape."""
        return x + self.layers(x)


class _EncoderLayer(nn.Module):
    """Every pixel of the three maps reads from all of them; norms come after the residuals."""

    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = DeformableAttention(dim, heads, _LEVELS)
        self.ffn = FeedForward(dim, hidden)
        self.norms = nn.ModuleList([nn.LayerNorm(dim), nn.LayerNorm(dim)])

    def forward(
        self, x: torch.Tensor, positions: torch.Tensor, places: torch.Tensor, sizes: Sequence[tuple[int, int]]
    ) -> torch.Tensor:
        x = self.norms[0](x + self.self_attn(x + positions, places, x, sizes))
        return self.norms[1](self.ffn(x))


class _Encoder(nn.Module):
    """The layers, under the name that they have in published files."""

    def __init__(self, layers: Iterable[_EncoderLayer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(
        self, x: torch.Tensor, positions: torch.Tensor, places: torch.Tensor, sizes: Sequence[tuple[int, int]]
    ) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x, positions, places, sizes)
        return x


class PixelDecoder(nn.Module):
    """A backbone's four maps to three maps for the queries to read, and one of which masks are made.

    Args:
        in_channels: Channels of the backbone's maps, finest first.
        dim: Channels of all outputs, a multiple of 32.
        layers: Layers of deformable attention.
        heads: Attention heads.
        hidden: Width of the layers' MLPs.

    Raises:
        ConfigError: There are not four maps, or ``dim`` is no multiple of 32.

    Source: Mask2Former paper, section 3.4; names of the parameters are those of mmdet, which the release uses.
    """

    def __init__(
        self, in_channels: Sequence[int], dim: int = 256, layers: int = 6, heads: int = 8, hidden: int = 1024
    ) -> None:
        super().__init__()
        if len(in_channels) != _LEVELS + 1:
            raise ConfigError(f"in_channels={list(in_channels)}: expected the channels of {_LEVELS + 1} maps")
        if dim % _GROUPS:
            raise ConfigError(f"{dim} channels: expected a multiple of {_GROUPS}")
        coarse = list(in_channels[:0:-1])
        norm = dict(type="GN", num_groups=_GROUPS)
        plain = dict(norm_cfg=norm, act_cfg=None)
        self.input_convs = nn.ModuleList(ConvModule(width, dim, 1, bias=True, **plain) for width in coarse)
        self.encoder = _Encoder(_EncoderLayer(dim, heads, hidden) for _ in range(layers))
        self.level_encoding = nn.Embedding(_LEVELS, dim)
        self.lateral_convs = nn.ModuleList([ConvModule(in_channels[0], dim, 1, bias=False, **plain)])
        output = ConvModule(dim, dim, 3, padding=1, bias=False, norm_cfg=norm)
        self.output_convs = nn.ModuleList([output])
        self.mask_feature = nn.Conv2d(dim, dim, 1)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for parameter in self.encoder.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_normal_(parameter)
        for module in self.modules():
            if isinstance(module, DeformableAttention):
                module.reset_parameters()
        for branch in self.input_convs:
            nn.init.xavier_uniform_(branch.get_parameter("conv.weight"))
            nn.init.zeros_(branch.get_parameter("conv.bias"))
        for name in ("lateral_convs.0.conv", "output_convs.0.conv", "mask_feature"):
            nn.init.kaiming_uniform_(self.get_parameter(f"{name}.weight"), a=1)
        nn.init.zeros_(self.get_parameter("mask_feature.bias"))

    def forward(self, maps: Sequence[torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """A backbone's maps (N, C, h, w), finest first.

        Returns:
            The map for masks (N, dim, h, w) of the finest size, and the three maps for queries, coarsest first.
        """
        coarse = [convolution(m) for convolution, m in zip(self.input_convs, maps[:0:-1], strict=True)]
        sizes = [(m.shape[2], m.shape[3]) for m in coarse]
        device = maps[0].device
        positions = torch.cat(
            [
                sine_positions(size, level.shape[0], device) + level
                for size, level in zip(sizes, self.level_encoding.weight, strict=True)
            ]
        )
        tokens = torch.cat([m.flatten(2).mT for m in coarse], 1)
        tokens = self.encoder(tokens, positions, pixel_centres(sizes, device), sizes)
        parts = tokens.mT.split([height * width for height, width in sizes], 2)
        coarse = [part.unflatten(2, size) for part, size in zip(parts, sizes, strict=True)]
        finest = self.lateral_convs[0](maps[0])
        finest = finest + functional.interpolate(coarse[-1], size=finest.shape[2:], mode="bilinear")
        return self.mask_feature(self.output_convs[0](finest)), coarse
