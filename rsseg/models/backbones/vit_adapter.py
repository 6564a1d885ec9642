"""ViT-Adapter: a plain vision transformer beside a small pyramid of convolutions; the two read from each other."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from rsseg.errors import ConfigError
from rsseg.models.backbones.attention import Attention, resize_positions
from rsseg.models.deformable import DeformableAttention, pixel_centres

__all__ = ["ViTAdapter"]

_PATCH = 16
_COARSEST = 32
_STRIDES = (4, 8, 16, 32)
_EPS = 1e-6
_Sizes = Sequence[tuple[int, int]]


class _Block(nn.Module):
    """Attention and MLP, each behind a norm, with a residual and a learned scale per channel."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float, drop_path: float) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.norm1 = nn.LayerNorm(dim, eps=_EPS)
        self.attn = Attention(dim, heads)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(dim, eps=_EPS)
        self.mlp = nn.Sequential(OrderedDict(fc1=nn.Linear(dim, hidden), act=nn.GELU(), fc2=nn.Linear(hidden, dim)))
        self.gamma1 = nn.Parameter(torch.ones(dim))
        self.gamma2 = nn.Parameter(torch.ones(dim))

    def forward(self, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        x = x + self.drop_path(self.gamma1 * self.attn(self.norm1(x), size))
        return x + self.drop_path(self.gamma2 * self.mlp(self.norm2(x)))


class _SpatialPrior(nn.Module):
    """Images (N, bands, H, W) to four maps (N, C, h, w) at strides 4, 8, 16 and 32."""

    def __init__(self, in_channels: int, width: int, dim: int, norm_cfg: dict[str, Any]) -> None:
        super().__init__()

        def convolution(into: int, out: int, stride: int) -> list[nn.Module]:
            norm = build_norm_layer(norm_cfg, out)[1]
            return [nn.Conv2d(into, out, 3, stride, 1, bias=False), norm, nn.ReLU(inplace=True)]

        stem = convolution(in_channels, width, 2) + convolution(width, width, 1) + convolution(width, width, 1)
        self.stem = nn.Sequential(*stem, nn.MaxPool2d(3, 2, 1))
        self.conv2 = nn.Sequential(*convolution(width, 2 * width, 2))
        self.conv3 = nn.Sequential(*convolution(2 * width, 4 * width, 2))
        self.conv4 = nn.Sequential(*convolution(4 * width, 4 * width, 2))
        self.fc1 = nn.Conv2d(width, dim, 1)
        self.fc2 = nn.Conv2d(2 * width, dim, 1)
        self.fc3 = nn.Conv2d(4 * width, dim, 1)
        self.fc4 = nn.Conv2d(4 * width, dim, 1)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        first = self.stem(x)
        second = self.conv2(first)
        third = self.conv3(second)
        return [self.fc1(first), self.fc2(second), self.fc3(third), self.fc4(self.conv4(third))]


class _ConvolutionMLP(nn.Module):
    """An MLP with a depthwise 3x3 convolution, the same for all maps, before its activation."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.dwconv = nn.ModuleDict({"dwconv": nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)})
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: torch.Tensor, sizes: _Sizes) -> torch.Tensor:
        maps = [self.dwconv["dwconv"](m).flatten(2) for m in _unflatten(self.fc1(x), sizes)]
        return self.fc2(self.act(torch.cat(maps, 2).transpose(1, 2)))


class _Injector(nn.Module):
    """The transformer's tokens read from the three maps."""

    def __init__(self, dim: int, heads: int, points: int, value_ratio: float) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(dim, eps=_EPS)
        self.feat_norm = nn.LayerNorm(dim, eps=_EPS)
        self.attn = DeformableAttention(dim, heads, 3, points, value_ratio)
        self.gamma = nn.Parameter(torch.zeros(dim))

    def forward(self, tokens: torch.Tensor, maps: torch.Tensor, sizes: _Sizes) -> torch.Tensor:
        places = pixel_centres(sizes[1:2], tokens.device)
        return tokens + self.gamma * self.attn(self.query_norm(tokens), places, self.feat_norm(maps), sizes)


class _Extractor(nn.Module):
    """The three maps read from the transformer's tokens."""

    def __init__(self, dim: int, heads: int, points: int, value_ratio: float, mlp_ratio: float, drop: float) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(dim, eps=_EPS)
        self.feat_norm = nn.LayerNorm(dim, eps=_EPS)
        self.attn = DeformableAttention(dim, heads, 1, points, value_ratio)
        self.ffn = _ConvolutionMLP(dim, int(dim * mlp_ratio))
        self.ffn_norm = nn.LayerNorm(dim, eps=_EPS)
        self.drop_path = DropPath(drop)

    def forward(self, maps: torch.Tensor, tokens: torch.Tensor, sizes: _Sizes) -> torch.Tensor:
        places = pixel_centres(sizes, tokens.device)
        maps = maps + self.attn(self.query_norm(maps), places, self.feat_norm(tokens), sizes[1:2])
        return maps + self.drop_path(self.ffn(self.ffn_norm(maps), sizes))


class _Interaction(nn.Module):
    """What happens before and after a quarter of the transformer's blocks."""

    def __init__(self, injector: _Injector, extractors: Sequence[_Extractor]) -> None:
        super().__init__()
        self.injector = injector
        self.extractor = extractors[0]
        self.extra_extractors = nn.ModuleList(extractors[1:])


def _unflatten(x: torch.Tensor, sizes: _Sizes) -> list[torch.Tensor]:
    """Maps (N, sum of h * w, C), one after the other, to a list of maps (N, C, h, w)."""
    parts = x.transpose(1, 2).split([height * width for height, width in sizes], 2)
    return [part.unflatten(2, size) for part, size in zip(parts, sizes, strict=True)]


@MODELS.register_module()
class ViTAdapter(BaseModule):
    """ViT-Adapter; the defaults are ViT-Adapter-B of the SAMRS release.

    Args:
        img_size: Side of the square images that the positions are for, a multiple of 16; images of any size can be
            given, the positions are resized to their grid.
        in_channels: Bands of the image.
        embed_dims: Channels of the tokens and of all four maps.
        depth: Blocks of the transformer, a multiple of 4.
        num_heads: Attention heads of the transformer.
        mlp_ratio: Hidden width of the transformer's MLPs over ``embed_dims``.
        conv_channels: Width of the first convolutions.
        deform_heads: Heads of the deformable attention.
        deform_points: Points of each head in each map.
        deform_ratio: Channels of the deformable attention's values over ``embed_dims``.
        conv_mlp_ratio: Hidden width of the MLPs of the three maps over ``embed_dims``.
        drop_path_rate: Stochastic depth of the last block, rising linearly from 0 at the first, and of all MLPs of the
            three maps.
        norm_cfg: Norm of the convolutions and of the outputs.
        with_cp: Recompute blocks and interactions in the backward pass instead of keeping what is inside of them.
        init_cfg: As for mmseg's backbones.  Positions of a file with another grid, with or without a class token, are
            fitted; ViT files serve for the transformer.

    Raises:
        ConfigError: ``img_size`` or ``depth`` is not the multiple that it must be, or heads do not divide channels.

    Source: ViT-Adapter paper, section 3; SAMRS release (values, parameter names).  The place of the class token in
    ``pos_embed`` is kept, but without effect.  The release takes sides that are multiples of 32; others are padded here
    with zeros at the bottom and the right, and the maps cut.
    """

    def __init__(
        self,
        img_size: int = 224,
        in_channels: int = 3,
        embed_dims: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        conv_channels: int = 64,
        deform_heads: int = 12,
        deform_points: int = 4,
        deform_ratio: float = 0.5,
        conv_mlp_ratio: float = 0.25,
        drop_path_rate: float = 0.3,
        norm_cfg: dict[str, Any] | None = None,
        with_cp: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        for name, value, unit in (("img_size", img_size, _PATCH), ("depth", depth, len(_STRIDES))):
            if value < 1 or value % unit:
                raise ConfigError(f"{name}={value}: expected a positive multiple of {unit}")
        self.with_cp = with_cp
        self.grid = (img_size // _PATCH, img_size // _PATCH)
        norm_cfg = norm_cfg or dict(type="BN")
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + self.grid[0] * self.grid[1], embed_dims))
        self.level_embed = nn.Parameter(torch.empty(3, embed_dims))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(in_channels, embed_dims, _PATCH, _PATCH)})
        self.blocks = nn.ModuleList(
            _Block(embed_dims, num_heads, mlp_ratio, drop_path_rate * i / (depth - 1)) for i in range(depth)
        )
        self.spm = _SpatialPrior(in_channels, conv_channels, embed_dims, norm_cfg)
        attention = (embed_dims, deform_heads, deform_points, deform_ratio)
        self.interactions = nn.ModuleList()
        for i in range(len(_STRIDES)):
            count = 3 if i == len(_STRIDES) - 1 else 1
            extractors = [_Extractor(*attention, conv_mlp_ratio, drop_path_rate) for _ in range(count)]
            self.interactions.append(_Interaction(_Injector(*attention), extractors))
        self.up = nn.ConvTranspose2d(embed_dims, embed_dims, 2, 2)
        for i in range(1, len(_STRIDES) + 1):
            self.add_module(f"norm{i}", build_norm_layer(norm_cfg, embed_dims)[1])
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.level_embed)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module is not self.patch_embed["proj"]:
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
                nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, DeformableAttention):
                module.reset_parameters()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Images (N, bands, H, W) of any size to four maps (N, C, h, w).

        Returns:
            Maps at strides 4, 8, 16 and 32, sizes rounded up.
        """
        height, width = x.shape[2:]
        x = functional.pad(x, (0, -width % _COARSEST, 0, -height % _COARSEST))
        finest, *coarser = self.spm(x)
        sizes = [(m.shape[2], m.shape[3]) for m in coarser]
        maps = torch.cat([m.flatten(2).mT + e for m, e in zip(coarser, self.level_embed, strict=True)], 1)
        tokens = self.patch_embed["proj"](x).flatten(2).mT
        tokens = tokens + resize_positions(self.pos_embed[:, 1:], self.grid, sizes[1])
        outs = []
        for i, interaction in enumerate(self.interactions):
            assert isinstance(interaction, _Interaction)
            tokens = self._run(interaction.injector, tokens, maps, sizes)
            share = len(self.blocks) // len(_STRIDES)
            for block in self.blocks[i * share : (i + 1) * share]:
                tokens = self._run(block, tokens, sizes[1])
            for extractor in (interaction.extractor, *interaction.extra_extractors):
                maps = self._run(extractor, maps, tokens, sizes)
            outs += _unflatten(tokens, sizes[1:2])
        second, third, fourth = _unflatten(maps, sizes)
        pyramid = (finest + self.up(second), second, third, fourth)
        return tuple(self._finish(i, m, outs[i], (height, width)) for i, m in enumerate(pyramid))

    def _run(self, part: Callable[..., torch.Tensor], *args: Any) -> torch.Tensor:
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(part, *args, use_reentrant=False)
        return part(*args)

    def _finish(self, i: int, x: torch.Tensor, tokens: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Adds the transformer's map, cuts what is only padding of an image of size (H, W), and norms."""
        x = x + functional.interpolate(tokens, size=x.shape[2:], mode="bilinear", align_corners=False)
        height, width = (-(-side // _STRIDES[i]) for side in size)
        return self.get_submodule(f"norm{i + 1}")(x[..., :height, :width])

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        positions = state_dict.get(f"{prefix}pos_embed")
        if positions is not None and positions.shape[1:2] != self.pos_embed.shape[1:2]:
            side = math.isqrt(positions.shape[1])
            if positions.shape[1] - side**2 in (0, 1):
                grid = resize_positions(positions[:, -(side**2) :], (side, side), self.grid)
                has_token = positions.shape[1] > side**2
                token = positions[:, :1] if has_token else torch.zeros_like(positions[:, :1])
                state_dict[f"{prefix}pos_embed"] = torch.cat([token, grid], 1)
        super()._load_from_state_dict(state_dict, prefix, *args)
