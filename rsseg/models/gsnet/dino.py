"""DINO's vision transformer with patches of 8 pixels: the specialist of GSNet."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

from rsseg.command_list import command
from rsseg.errors import ConfigError
from rsseg.io.checkpoints import State, read_state
from rsseg.models.gsnet.clip import fit_image
from rsseg.structures.keys import compare_keys

__all__ = ["DINO", "read_dino"]

_EPS = 1e-6
_OFFSET = 0.1
"""Added to the sides of a grid before the positions' scale is computed, so that rounding never loses a row."""


class _PatchEmbed(nn.Module):
    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.proj(images)


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_EPS)
        self.attn = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=_EPS)
        fc1, fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.mlp = nn.Sequential(OrderedDict(fc1=fc1, act=nn.GELU(), fc2=fc2))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


@MODELS.register_module(name="DINOViT")
class DINO(BaseModule):
    """Vision transformer of DINO; the defaults are ViT-B/8.

    Args:
        width: Channels of the tokens.
        layers: Blocks.
        heads: Attention heads, a divisor of ``width``.
        patch: Side of the patches in pixels.
        grid: Side of the table of positions, that is of the patches in pre-training.
        resolution: Side in pixels to which :meth:`forward` brings images, a multiple of ``patch``.
        taps: Blocks, counted from 0, whose outputs :meth:`forward` gives.
        drop_path: Stochastic depth of the last block, rising linearly from 0 at the first.
        weights: File to start from, read by :meth:`init_weights`, see :func:`read_dino`; None starts at random.
        frozen: Never train, and run in evaluation mode always.

    Raises:
        ConfigError: ``heads``, ``resolution`` or ``taps`` is not among what is allowed.

    Source: DINO's public code (names, positions); GSNet release (patches of 8, taps behind the last norm).
    """

    def __init__(
        self,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        patch: int = 8,
        grid: int = 28,
        resolution: int = 384,
        taps: Sequence[int] = (3, 7, 11),
        drop_path: float = 0.0,
        weights: str | None = None,
        frozen: bool = True,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ConfigError(f"heads={heads}: expected a divisor of width={width}")
        if resolution % patch or resolution <= 0:
            raise ConfigError(f"resolution={resolution}: expected a multiple of the patch size, {patch} pixels")
        if any(not 0 <= tap < layers for tap in taps):
            raise ConfigError(f"taps={tuple(taps)}: expected numbers from 0 to {layers - 1}")
        self.channels, self.resolution, self.taps, self.weights = width, resolution, tuple(taps), weights
        self.table_side, self.grid, self.frozen = grid, resolution // patch, frozen
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, grid * grid + 1, width))
        self.patch_embed = _PatchEmbed(width, patch)
        rates = [drop_path * i / max(layers - 1, 1) for i in range(layers)]
        self.blocks = nn.ModuleList(_Block(width, heads, rate) for rate in rates)
        self.norm = nn.LayerNorm(width, eps=_EPS)
        self._reset_parameters()
        if frozen:
            self.requires_grad_(False)
            self.eval()

    def _reset_parameters(self) -> None:
        for tokens in (self.cls_token, self.pos_embed):
            nn.init.trunc_normal_(tokens, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def init_weights(self) -> None:
        """Take the weights of the file, if there is one; a runner calls this before it trains."""
        if self.weights is not None:
            own = {key: value.shape for key, value in self.state_dict().items()}
            self.load_state_dict(read_dino(self.weights, own))

    def train(self, mode: bool = True) -> DINO:
        """Training or evaluation mode; always the latter where frozen."""
        return super().train(mode and not self.frozen)

    def _positions(self, size: torch.Size) -> torch.Tensor:
        """(1, 1 + h * w, width) for a grid of ``size`` (h, w), by the scale (side + 0.1) / table's side."""
        if size == (self.table_side, self.table_side):
            return self.pos_embed
        square = self.pos_embed[:, 1:].transpose(1, 2).unflatten(2, (self.table_side, self.table_side))
        scale = [(side + _OFFSET) / self.table_side for side in size]
        places = functional.interpolate(square, scale_factor=scale, mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], places.flatten(2).transpose(1, 2)], 1)

    def _embed(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Size]:
        patches = self.patch_embed(images)
        size = patches.shape[2:]
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), patches.flatten(2).transpose(1, 2)], 1)
        return tokens + self._positions(size), size

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Maps behind the last norm, one for each tap.

        Args:
            images: (B, 3, H, W), normalised, of any size.

        Returns:
            For each tap (B, width, h, w); h and w are ``grid``.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            x, size = self._embed(fit_image(images, self.resolution))
            tapped = {}
            for i, block in enumerate(self.blocks[: max(self.taps) + 1]):
                x = block(x)
                if i in self.taps:
                    tapped[i] = self.norm(x[:, 1:]).transpose(1, 2).unflatten(2, size)
            return [tapped[i] for i in self.taps]

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Class token (B, width) behind the last norm of images (B, 3, H, W), square or not, at their own size."""
        x, _ = self._embed(images)
        for block in self.blocks:
            x = block(x)
        return self.norm(x[:, 0])


def read_dino(file: str, expected: Mapping[str, torch.Size]) -> State:
    """Weights of a DINO transformer by the names of the model here; of two networks the teacher's.

    Args:
        file: DINO's own file (``teacher``; its head is left out), one of pre-training with rsseg, or a state dict.
        expected: Shapes of the model's weights by name.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The file cannot be read, weights are missing or unexpected, or have another shape than the model's.
    """
    path = Path(file)
    advice = (
        f"Pre-train one: {command('train')} configs/dino/vit_b8_landdiscover.py, or use the one of GSNet "
        "(key 'teacher')"
    )
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected the weights of DINO. {advice}")
    state = read_state(path)
    of_teacher = {key.removeprefix("teacher."): value for key, value in state.items() if key.startswith("teacher.")}
    bare = {key.replace("module.", "").replace("backbone.", ""): value for key, value in (of_teacher or state).items()}
    plain = {key: value for key, value in bare.items() if not key.startswith("head.")}
    problems = compare_keys(plain, expected)
    if problems:
        raise ConfigError(f"{path}: does not match this DINO model: {problems}. {advice}")
    return plain
