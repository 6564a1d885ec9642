"""InternImage: a hierarchical backbone of deformable convolutions (DCNv3)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import nn
from torch.utils.checkpoint import checkpoint

from rsseg.models.backbones.dcnv3 import ChannelsLast, DCNv3

__all__ = ["InternImage"]


class _ChannelsFirst(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 3, 1, 2)


def _norm(channels: int, *before: nn.Module) -> nn.Sequential:
    return nn.Sequential(*before, nn.LayerNorm(channels, eps=1e-6))


class _Stem(nn.Module):
    """(N, 3, H, W) to (N, H/4, W/4, C)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels // 2, 3, stride=2, padding=1)
        self.norm1 = _norm(channels // 2, ChannelsLast()).append(_ChannelsFirst())
        self.act = nn.GELU()
        self.conv2 = nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1)
        self.norm2 = _norm(channels, ChannelsLast())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))


class _Downsample(nn.Module):
    """(N, H, W, C) to (N, H/2, W/2, 2C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=False)
        self.norm = _norm(2 * channels, ChannelsLast())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x.permute(0, 3, 1, 2)))


class _Block(nn.Module):
    """DCNv3 and MLP, each behind a norm, with a learned scale per channel and a residual."""

    def __init__(
        self, channels: int, groups: int, mlp_ratio: float, drop_path: float, layer_scale: float, offset_scale: float
    ) -> None:
        super().__init__()
        hidden = int(channels * mlp_ratio)
        self.norm1 = _norm(channels)
        self.dcn = DCNv3(channels, groups, offset_scale)
        self.drop_path = DropPath(drop_path)
        self.norm2 = _norm(channels)
        self.mlp = nn.Sequential(
            OrderedDict(fc1=nn.Linear(channels, hidden), act=nn.GELU(), fc2=nn.Linear(hidden, channels))
        )
        self.gamma1 = nn.Parameter(torch.full((channels,), layer_scale))
        self.gamma2 = nn.Parameter(torch.full((channels,), layer_scale))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.drop_path(self.gamma1 * self.dcn(self.norm1(x)))
        return x + self.drop_path(self.gamma2 * self.mlp(self.norm2(x)))


class _Level(nn.Module):
    """The blocks of one resolution; the normed map is both the feature and what is downsampled."""

    def __init__(self, channels: int, blocks: Sequence[_Block], last: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.norm = _norm(channels)
        self.downsample = None if last else _Downsample(channels)

    def forward(self, x: torch.Tensor, with_cp: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """The level's feature (N, C, H, W), and what the next level starts with (N, H/2, W/2, 2C)."""
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if with_cp and torch.is_grad_enabled() else block(x)
        x = self.norm(x)
        return x.permute(0, 3, 1, 2).contiguous(), x if self.downsample is None else self.downsample(x)


@MODELS.register_module()
class InternImage(BaseModule):
    """InternImage; the defaults are InternImage-T.

    Args:
        in_channels: Bands of the image.
        channels: Width of the first level; each level doubles it.
        depths: Blocks of each level.
        groups: Groups of DCNv3 in each level.
        mlp_ratio: Hidden width of the MLPs over their width.
        drop_path_rate: Stochastic depth of the last block, rising linearly from 0 at the first.
        layer_scale: Initial value of the residuals' scales.
        offset_scale: See :func:`deform_conv`.
        with_cp: Recompute each block in the backward pass instead of keeping what is inside of it.
        init_cfg: As for mmseg's backbones.

    Source: InternImage paper, section 3.2; the values are those of the SAMRS release, whose parameter names these are.
    DCNv3 samples with ``grid_sample``: slower and larger in memory than the compiled operator, but nothing to compile.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: int = 64,
        depths: Sequence[int] = (4, 4, 18, 4),
        groups: Sequence[int] = (4, 8, 16, 32),
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.2,
        layer_scale: float = 1.0,
        offset_scale: float = 1.0,
        with_cp: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        self.with_cp = with_cp
        self.patch_embed = _Stem(in_channels, channels)
        drop = iter(torch.linspace(0, drop_path_rate, sum(depths)).tolist())
        self.levels = nn.ModuleList()
        for i, (depth, own_groups) in enumerate(zip(depths, groups, strict=True)):
            width = channels * 2**i
            blocks = [_Block(width, own_groups, mlp_ratio, next(drop), layer_scale, offset_scale) for _ in range(depth)]
            self.levels.append(_Level(width, blocks, last=i == len(depths) - 1))
        self.apply(self._reset)

    @staticmethod
    def _reset(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
        elif isinstance(module, DCNv3):  # visited after its layers
            module.reset_parameters()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Images (N, bands, H, W) of any size to one map for each level.

        Returns:
            Four tensors (N, C, h, w) at strides 4, 8, 16 and 32, sizes rounded up; C doubles from one to the next.
        """
        outs = []
        x = self.patch_embed(x)
        for level in self.levels:
            feature, x = level(x, self.with_cp)
            outs.append(feature)
        return tuple(outs)
