"""ViTAEv2: transformer cells with convolution branches, windows in the first stages, global attention in the last.

Axes: N images, H x W positions, C channels, L tokens.  Windows are (N, rows, columns, side, side, C) on their way.
"""

from __future__ import annotations

import contextlib
import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

__all__ = ["ViTAEv2"]

_REDUCTION_EPS = 1e-5  # norms of the reduction cells; those of the normal cells have 1e-6
_NORMAL_EPS = 1e-6


class _Settings(NamedTuple):
    """One stage.  Pairs are for the reduction cell and for the normal cells."""

    ratio: int
    """How much smaller the map gets."""
    kernel: int
    """Of the dilated convolutions that make it smaller."""
    dilations: int
    """How many of them there are, with dilations 1, 2 ..."""
    embed_dim: int
    """Channels of each of them."""
    dim: int
    """Channels of the stage."""
    depth: int
    """Normal cells."""
    heads: tuple[int, int]
    groups: tuple[int, int]
    """Groups of the convolution branches."""
    window: int | None
    """Side of the attention's windows, or None for attention over the whole map."""


_SMALL = (
    _Settings(4, 7, 4, 64, 64, 2, (1, 1), (1, 1), 7),
    _Settings(2, 3, 3, 64, 128, 2, (1, 2), (16, 32), 7),
    _Settings(2, 3, 2, 128, 256, 8, (2, 4), (32, 64), None),
    _Settings(2, 3, 2, 256, 512, 2, (4, 8), (64, 128), None),
)


def _pad(x: torch.Tensor, multiple: int) -> torch.Tensor:
    """Maps (N, H, W, C) with zeros at the bottom and the right until H and W are multiples."""
    height, width = x.shape[1:3]
    return functional.pad(x, (0, 0, 0, -width % multiple, 0, -height % multiple))


def _attend(qkv: torch.Tensor, heads: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention output and values, each (N, L, C), of queries, keys and values (N, L, 3C)."""
    n, length, _ = qkv.shape
    q, k, v = qkv.reshape(n, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
    out = functional.scaled_dot_product_attention(q, k, v)
    return out.transpose(1, 2).flatten(2), v.transpose(1, 2).flatten(2)


class _WindowAttention(nn.Module):
    """Attention inside of windows that are not shifted; the padding at the border takes part, as in the release."""

    def __init__(self, in_dim: int, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.qkv = nn.Linear(in_dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        # In the published files, but without effect: the release was trained without relative positions.
        table = nn.init.trunc_normal_(torch.empty((2 * window - 1) ** 2, heads), std=0.02)
        self.relative_position_bias_table = nn.Parameter(table, requires_grad=False)
        place = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        shift = place[:, :, None] - place[:, None] + window - 1
        self.register_buffer("relative_position_index", shift[0] * (2 * window - 1) + shift[1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[1:3]
        x = _pad(x, self.window)
        rows, columns = x.shape[1] // self.window, x.shape[2] // self.window
        grid = x.unflatten(2, (columns, self.window)).unflatten(1, (rows, self.window)).transpose(2, 3)
        out, _ = _attend(self.qkv(grid.flatten(3, 4).flatten(0, 2)), self.heads)
        out = self.proj(out).reshape(-1, rows, columns, self.window, self.window, out.shape[-1])
        return out.transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, :height, :width]


class _GlobalAttention(nn.Module):
    """Attention over the whole map; with ``keep_values`` the values are added to the output (no qkv bias then)."""

    def __init__(self, in_dim: int, dim: int, heads: int, keep_values: bool) -> None:
        super().__init__()
        self.heads = heads
        self.keep_values = keep_values
        self.qkv = nn.Linear(in_dim, 3 * dim, bias=not keep_values)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out, values = _attend(self.qkv(x.flatten(1, 2)), self.heads)
        out = self.proj(out)
        return (out + values if self.keep_values else out).unflatten(1, x.shape[1:3])


def _attention(in_dim: int, stage: _Settings, heads: int, keep_values: bool) -> nn.Module:
    if stage.window:
        return _WindowAttention(in_dim, stage.dim, heads, stage.window)
    return _GlobalAttention(in_dim, stage.dim, heads, keep_values)


def _mlp(dim: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(fc1=nn.Linear(dim, hidden), act=nn.GELU(), fc2=nn.Linear(hidden, dim)))


def _convolutions(
    widths: Sequence[int], strides: Sequence[int], groups: int, norm_cfg: dict[str, Any]
) -> nn.Sequential:
    """Three 3x3 convolutions, norm and SiLU between them (the cells' PCM branch)."""
    layers: list[nn.Module] = []
    for i, stride in enumerate(strides):
        layers.append(nn.Conv2d(widths[i], widths[i + 1], 3, stride, 1, groups=groups))
        if i < 2:
            layers += [build_norm_layer(norm_cfg, widths[i + 1])[1], nn.SiLU(inplace=True)]
    return nn.Sequential(*layers)


class _Dilated(nn.Module):
    """Convolutions of several dilations side by side, outputs one after the other (the reduction cells' PRM)."""

    def __init__(self, in_channels: int, stage: _Settings) -> None:
        super().__init__()
        kernel, stride = stage.kernel, stage.ratio
        self.convs = nn.ModuleList()
        for dilation in range(1, stage.dilations + 1):
            padding = math.ceil(((kernel - 1) * dilation + 1 - stride) / 2)
            convolution = nn.Conv2d(in_channels, stage.embed_dim, kernel, stride, padding, dilation)
            self.convs.append(nn.Sequential(convolution, nn.GELU()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([conv(x) for conv in self.convs], 1)


class _ReductionCell(nn.Module):
    """(N, H, W, C) to (N, H/r, W/r, C'): dilated convolutions, attention over their outputs, a convolution branch."""

    def __init__(self, in_channels: int, stage: _Settings, norm_cfg: dict[str, Any]) -> None:
        super().__init__()
        self.ratio = stage.ratio
        self.PRM = _Dilated(in_channels, stage)
        widths = (in_channels, stage.embed_dim, stage.embed_dim, stage.dim)
        self.PCM = _convolutions(widths, (2, self.ratio // 2, 1), stage.groups[0], norm_cfg)
        tokens = stage.embed_dim * stage.dilations
        self.attn = nn.ModuleDict(
            {
                "norm1": nn.LayerNorm(tokens, eps=_REDUCTION_EPS),
                "attn": _attention(tokens, stage, stage.heads[0], keep_values=True),
                "norm2": nn.LayerNorm(stage.dim, eps=_REDUCTION_EPS),
                "mlp": _mlp(stage.dim, stage.dim),
            }
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = _pad(x, self.ratio).permute(0, 3, 1, 2).contiguous()
        tokens = self.PRM(x).permute(0, 2, 3, 1)
        out = self.attn["attn"](self.attn["norm1"](tokens)) + self.PCM(x).permute(0, 2, 3, 1)
        return out + self.attn["mlp"](self.attn["norm2"](out))


class _NormalCell(nn.Module):
    """(N, H, W, C) to the same shape: attention and a convolution branch side by side, then an MLP."""

    def __init__(self, stage: _Settings, drop_path: float, norm_cfg: dict[str, Any]) -> None:
        super().__init__()
        dim = stage.dim
        self.norm1 = nn.LayerNorm(dim, eps=_NORMAL_EPS)
        self.attn = _attention(dim, stage, stage.heads[1], keep_values=False)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(dim, eps=_NORMAL_EPS)
        self.mlp = _mlp(dim, 4 * dim)
        self.PCM = _convolutions((dim, 4 * dim, dim, dim), (1, 1, 1), stage.groups[1], norm_cfg)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        local = self.PCM(x.permute(0, 3, 1, 2).contiguous()).permute(0, 2, 3, 1)
        x = x + self.drop_path(self.attn(self.norm1(x))) + self.drop_path(local)
        return x + self.drop_path(self.mlp(self.norm2(x)))


@contextlib.contextmanager
def _keep_statistics(module: nn.Module) -> Iterator[None]:
    """Batch norms inside count the batch of a recomputed forward pass only once."""
    before = []
    for norm in module.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.num_batches_tracked is not None:
            before.append((norm, norm.momentum, norm.num_batches_tracked, norm.num_batches_tracked.clone()))
            norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, count, old_count in before:
            norm.momentum = momentum
            count.copy_(old_count)


def _run(cell: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return cell(x)


def _recompute(cell: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The cell's output, keeping nothing from inside of it for the backward pass."""

    def contexts() -> tuple[Any, Any]:
        return contextlib.nullcontext(), _keep_statistics(cell)

    return checkpoint(cell, x, use_reentrant=False, context_fn=contexts)


class _Stage(nn.Module):
    """A reduction cell and the normal cells after it."""

    def __init__(self, in_channels: int, stage: _Settings, drop: Sequence[float], norm_cfg: dict[str, Any]) -> None:
        super().__init__()
        self.RC = _ReductionCell(in_channels, stage, norm_cfg)
        self.NC = nn.ModuleList(_NormalCell(stage, rate, norm_cfg) for rate in drop)

    def forward(self, x: torch.Tensor, with_cp: bool) -> torch.Tensor:
        run = _recompute if with_cp and torch.is_grad_enabled() else _run
        x = run(self.RC, x)
        for cell in self.NC:
            x = run(cell, x)
        return x


@MODELS.register_module()
class ViTAEv2(BaseModule):
    """ViTAEv2-S as in the SAMRS release.

    Maps are not normed on their way out.  ``norm0`` to ``norm3`` and the relative positions of the first two stages
    are in the published files but without effect; here they are there and need no gradient.  The rates of stochastic
    depth rise linearly over all normal cells, but a stage starts to read them at the number of cells of the stage
    before it, as in the release: with 0.3 no cell has more than 0.21.

    Args:
        in_channels: Bands of the image.
        drop_path_rate: Stochastic depth.
        norm_cfg: Norm of the convolution branches.
        with_cp: Recompute each cell in the backward pass instead of keeping what is inside of it.
        init_cfg: As for mmseg's backbones.

    Source: ViTAEv2 paper, section 3; SAMRS release (parameter names, widths).  The release takes square images with
    sides that are multiples of 32 and scrambles or refuses others; here each reduction pads with zeros at the bottom
    and the right, which changes nothing where the release works.
    """

    def __init__(
        self,
        in_channels: int = 3,
        drop_path_rate: float = 0.3,
        norm_cfg: dict[str, Any] | None = None,
        with_cp: bool = False,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        self.with_cp = with_cp
        norm_cfg = norm_cfg or dict(type="BN")
        rates = torch.linspace(0, drop_path_rate, sum(stage.depth for stage in _SMALL)).tolist()
        self.layers = nn.ModuleList()
        start = 0
        for i, stage in enumerate(_SMALL):
            self.layers.append(_Stage(in_channels, stage, rates[start : start + stage.depth], norm_cfg))
            self.add_module(f"norm{i}", nn.LayerNorm(stage.dim, eps=_NORMAL_EPS).requires_grad_(False))
            in_channels, start = stage.dim, stage.depth
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Images (N, bands, H, W) of any size to maps of 64, 128, 256 and 512 channels.

        Returns:
            Four tensors (N, C, h, w) at strides 4, 8, 16 and 32, sizes rounded up.
        """
        outs = []
        x = x.permute(0, 2, 3, 1)
        for stage in self.layers:
            x = stage(x, self.with_cp)
            outs.append(x.permute(0, 3, 1, 2).contiguous())
        return tuple(outs)
