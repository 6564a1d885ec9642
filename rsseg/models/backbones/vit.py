"""Plain vision transformers with a pyramid of four maps: ViT-B of the SAMRS release, and BEiT-B."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from rsseg.errors import ConfigError
from rsseg.models.backbones.attention import Attention, RelativeAttention, resize_positions

__all__ = ["PlainTransformer", "ViT"]

PATCH = 16
_EPS = 1e-6


class _PatchEmbed(nn.Module):
    """Images (N, bands, H, W) to patches (N, C, ceil(H / 16), ceil(W / 16)); zeros fill the last row and column."""

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dim, PATCH, PATCH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[2:]
        return self.proj(functional.pad(x, (0, -width % PATCH, 0, -height % PATCH)))


class _Block(nn.Module):
    """Attention and MLP, each behind a norm, with a residual and, in BEiT, a learned scale per channel."""

    def __init__(
        self, dim: int, attention: nn.Module, mlp_ratio: float, drop_path: float, layer_scale: float | None
    ) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.norm1 = nn.LayerNorm(dim, eps=_EPS)
        self.attn = attention
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(dim, eps=_EPS)
        self.mlp = nn.Sequential(OrderedDict(fc1=nn.Linear(dim, hidden), act=nn.GELU(), fc2=nn.Linear(hidden, dim)))
        for name in ("gamma_1", "gamma_2"):
            scale = None if layer_scale is None else nn.Parameter(torch.full((dim,), layer_scale))
            self.register_parameter(name, scale)

    def forward(self, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        out = self.attn(self.norm1(x), size)
        x = x + self.drop_path(out if self.gamma_1 is None else self.gamma_1 * out)
        out = self.mlp(self.norm2(x))
        return x + self.drop_path(out if self.gamma_2 is None else self.gamma_2 * out)


class _ChannelNorm(nn.Module):
    """Layer norm over the channels of maps (N, C, H, W)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.ln = nn.LayerNorm(dim, eps=_EPS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.ln(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).contiguous()


def _twice(dim: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(dim, dim, 2, 2)


class PlainTransformer(BaseModule):
    """What the plain transformers share: patches, blocks, the last norm, the pyramid and the initial weights.

    Args:
        attentions: One attention for each block: tokens (N, L, C) and the size (h, w) of their map to tokens.
        in_channels: Bands of the image.
        embed_dims: Channels C of the tokens and of the maps.
        mlp_ratio: Hidden width of the MLPs over C.
        drop_path_rate: Stochastic depth of the last block, rising linearly from 0 at the first.
        layer_scale: Initial value of the residuals' scales, or None for none.
        with_cp: Recompute each block in the backward pass instead of keeping what is inside of it.
        init_cfg: As for mmseg's backbones.
    """

    def __init__(
        self,
        attentions: Sequence[nn.Module],
        in_channels: int,
        embed_dims: int,
        mlp_ratio: float,
        drop_path_rate: float,
        layer_scale: float | None,
        with_cp: bool,
        init_cfg: Any,
    ) -> None:
        super().__init__(init_cfg)
        self.with_cp = with_cp
        self.patch_embed = _PatchEmbed(in_channels, embed_dims)
        steps = max(len(attentions) - 1, 1)
        self.blocks = nn.ModuleList(
            _Block(embed_dims, attention, mlp_ratio, drop_path_rate * i / steps, layer_scale)
            for i, attention in enumerate(attentions)
        )
        self.norm = nn.LayerNorm(embed_dims, eps=_EPS)
        self.fpn1 = nn.Sequential(_twice(embed_dims), _ChannelNorm(embed_dims), nn.GELU(), _twice(embed_dims))
        self.fpn2 = nn.Sequential(_twice(embed_dims))
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():
            for i, block in enumerate(self.blocks, 1):
                for name in ("attn.proj.weight", "mlp.fc2.weight"):
                    block.get_parameter(name).div_(math.sqrt(2 * i))

    def _run(self, block: nn.Module, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        recompute = self.with_cp and torch.is_grad_enabled()
        return checkpoint(block, x, size, use_reentrant=False) if recompute else block(x, size)

    def _pyramid(self, maps: Sequence[torch.Tensor], size: tuple[int, int]) -> tuple[torch.Tensor, ...]:
        """Four maps at stride 16 of an image of size (H, W) to strides 4, 8, 16, 32, without what is only padding."""
        enlarged = [self.fpn1(maps[0]), self.fpn2(maps[1])]
        finer = [x[..., : -(-size[0] // s), : -(-size[1] // s)] for x, s in zip(enlarged, (4, 8), strict=True)]
        coarse = functional.max_pool2d(maps[3], [min(2, side) for side in maps[3].shape[2:]], 2)
        return (*finer, maps[2], coarse)


@MODELS.register_module()
class ViT(PlainTransformer):
    """Vision transformer whose last map, normed, is enlarged by 4 and 2, kept, and halved; the defaults are ViT-B.

    Args:
        img_size: Side of the square images that the positions are for, a multiple of 16; images of any size can be
            given, the positions are resized to their grid.
        in_channels: Bands of the image.
        embed_dims: Channels of the tokens and of all four maps.
        depth: Blocks.
        num_heads: Attention heads, a divisor of ``embed_dims``.
        mlp_ratio: Hidden width of the MLPs over ``embed_dims``.
        drop_path_rate: Stochastic depth of the last block, rising linearly from 0 at the first.
        positions: "absolute" is ViT: an embedding for each place.  "relative" is BEiT: a table of biases in each block,
            a class token, and biases for queries and values only.
        layer_scale: Initial value of the residuals' scales, or None for none; BEiT-B has 0.1.
        with_cp: Recompute each block in the backward pass instead of keeping what is inside of it.
        init_cfg: As for mmseg's backbones.  Absolute positions of a file with another grid or a class token are fitted.

    Raises:
        ConfigError: ``img_size``, ``num_heads`` or ``positions`` is not among what is allowed.

    Source: SAMRS release (parameter names, pyramid); BEiT's public files (names of its own parameters).  The release
    loads BEiT files without tables, class token, scales and biases.  Its positions are never resized, so that images
    other than squares of ``img_size`` fail or get a wrong grid.  Relative positions need memory for one bias per head
    and pair of tokens in each block, for images of 896 about 0.5 GB.
    """

    def __init__(
        self,
        img_size: int = 224,
        in_channels: int = 3,
        embed_dims: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.15,
        positions: str = "absolute",
        layer_scale: float | None = None,
        with_cp: bool = False,
        init_cfg: Any = None,
    ) -> None:
        side = img_size // PATCH
        if positions not in ("absolute", "relative"):
            raise ConfigError(f"positions={positions!r}: expected 'absolute' or 'relative'")
        least = 3 if positions == "relative" else 1
        if img_size % PATCH or side < least:
            raise ConfigError(f"img_size={img_size}: expected a multiple of {PATCH} of at least {least * PATCH}")
        relative = positions == "relative"
        attentions = [
            RelativeAttention(embed_dims, num_heads, side) if relative else Attention(embed_dims, num_heads)
            for _ in range(depth)
        ]
        super().__init__(attentions, in_channels, embed_dims, mlp_ratio, drop_path_rate, layer_scale, with_cp, init_cfg)
        self.grid = (side, side)
        own, other = ("cls_token", "pos_embed") if relative else ("pos_embed", "cls_token")
        tokens = torch.empty(1, 1 if relative else side * side, embed_dims)
        self.register_parameter(own, nn.Parameter(nn.init.trunc_normal_(tokens, std=0.02)))
        self.register_parameter(other, None)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Images (N, bands, H, W) of any size to four maps (N, C, h, w).

        Returns:
            Maps at strides 4, 8, 16 and 32; sizes are rounded up, but the last one's is half of the third's rounded
            down, as in the release.
        """
        image_size = (x.shape[2], x.shape[3])
        patches = self.patch_embed(x)
        size = (patches.shape[2], patches.shape[3])
        tokens = patches.flatten(2).transpose(1, 2)
        if self.pos_embed is not None:
            tokens = tokens + resize_positions(self.pos_embed, self.grid, size)
        else:
            tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], 1)
        for block in self.blocks:
            tokens = self._run(block, tokens, size)
        out = self.norm(tokens[:, -size[0] * size[1] :]).transpose(1, 2).unflatten(2, size)
        return self._pyramid([out] * 4, image_size)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        positions = state_dict.get(f"{prefix}pos_embed")
        if positions is not None and self.pos_embed is not None and positions.shape != self.pos_embed.shape:
            side = math.isqrt(positions.shape[1])
            if positions.shape[1] - side**2 in (0, 1):  # a class token comes first
                state_dict[f"{prefix}pos_embed"] = resize_positions(positions[:, -(side**2) :], (side, side), self.grid)
        super()._load_from_state_dict(state_dict, prefix, *args)
