"""CLIP for dense prediction: a vision transformer whose last block keeps the places apart, and the tower for texts.

Names of parameters are OpenAI's, except that the attention's fused projection is three, as in GSNet's release, so that
queries and values can be trained and keys kept.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.models.gsnet.clip_files import read_clip

__all__ = ["CLIP", "Attention", "Change", "TextTower", "fit_image"]

Change = Callable[[int, torch.Tensor], torch.Tensor]
"""New places (B, L, width) of a depth and its places: 0 is before the positions, 1 behind the first block."""

_VISUAL = dict(width=768, layers=12, heads=12, patch=16, grid=14)
_TEXT = dict(width=512, layers=12, heads=8, vocabulary=49408, context=77)
_LOGIT_SCALE = math.log(1 / 0.07)


def fit_image(images: torch.Tensor, resolution: int) -> torch.Tensor:
    """Images (B, 3, H, W) squeezed to squares of ``resolution`` pixels: bilinear, corners not aligned, not smoothed."""
    if images.shape[2:] == (resolution, resolution):
        return images
    return functional.interpolate(images, (resolution, resolution), mode="bilinear", align_corners=False)


class _QuickGELU(nn.Module):
    """OpenAI's approximation of GELU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(1.702 * x)


_ACTIVATIONS: dict[str, type[nn.Module]] = {"quick_gelu": _QuickGELU, "gelu": nn.GELU}


class Attention(nn.Module):
    """Self-attention with a weight each for queries, keys and values.

    Args:
        width: Channels C.
        heads: Divisor of C.

    Raises:
        ConfigError: ``heads`` does not divide ``width``.
    """

    q_proj_weight: nn.Parameter
    k_proj_weight: nn.Parameter
    v_proj_weight: nn.Parameter

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ConfigError(f"heads={heads}: expected a divisor of width={width}")
        self.heads = heads
        for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
            self.register_parameter(name, nn.Parameter(torch.empty(width, width).normal_(0, width**-0.5)))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, causal: bool, bias: torch.Tensor | None = None) -> torch.Tensor:
        """Tokens (B, L, C) to (B, L, C).

        Args:
            x: The tokens.
            causal: A token sees itself and those before it.
            bias: What is added to the scores before the softmax, (B, heads, L, L); not beside ``causal``.
        """
        weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        projected = [functional.linear(x, *own) for own in zip(weights, self.in_proj_bias.chunk(3), strict=True)]
        q, k, v = (y.unflatten(2, (self.heads, -1)).transpose(1, 2) for y in projected)
        out = functional.scaled_dot_product_attention(q, k, v, bias, is_causal=causal)
        return self.out_proj(out.transpose(1, 2).flatten(2))

    def self_self(self, x: torch.Tensor, parts: str = "qkv") -> torch.Tensor:
        """Tokens (B, L, C) to (B, L, C): values weighted by how alike queries are, plus by keys, plus by values.

        Args:
            x: The tokens.
            parts: Which of the three, by their first letters; each has a softmax of its own.

        Source: SegEarth-OV, section 3.3 ("qkv"); EBSeg's release ("v").
        """
        weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        projected = [functional.linear(x, *own) for own in zip(weights, self.in_proj_bias.chunk(3), strict=True)]
        own = {name: y.unflatten(2, (self.heads, -1)).transpose(1, 2) for name, y in zip("qkv", projected, strict=True)}
        attended = [functional.scaled_dot_product_attention(own[name], own[name], own["v"]) for name in parts]
        out = torch.stack(attended).sum(0)
        return self.out_proj(out.transpose(1, 2).flatten(2))

    def values(self, x: torch.Tensor) -> torch.Tensor:
        """What each token of (B, L, C) would give if it saw only itself, (B, L, C)."""
        return self.out_proj(functional.linear(x, self.v_proj_weight, self.in_proj_bias.chunk(3)[2]))


class _Block(nn.Module):
    """Attention and MLP, each behind a norm and with a residual."""

    def __init__(self, width: int, heads: int, activation: str) -> None:
        super().__init__()
        self.attn = Attention(width, heads)
        self.ln_1 = nn.LayerNorm(width)
        fc, proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.mlp = nn.Sequential(OrderedDict(c_fc=fc, gelu=_ACTIVATIONS[activation](), c_proj=proj))
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor, causal: bool = False, bias: torch.Tensor | None = None) -> torch.Tensor:
        x = x + self.attn(self.ln_1(x), causal, bias)
        return x + self.mlp(self.ln_2(x))

    def dense(self, x: torch.Tensor) -> torch.Tensor:
        """All tokens (B, 1 + L, C) to the L places (B, L, C): own values, and the class token's row as residual."""
        x = x[:, :1] + self.attn.values(self.ln_1(x[:, 1:]))
        return x + self.mlp(self.ln_2(x))


class _Transformer(nn.Module):
    def __init__(self, width: int, layers: int, heads: int, activation: str) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(_Block(width, heads, activation) for _ in range(layers))


def _random(*shape: int, std: float) -> nn.Parameter:
    return nn.Parameter(torch.empty(*shape).normal_(0, std))


class _Visual(nn.Module):
    """The tower for images; ``grid`` is the side of the table of positions."""

    def __init__(self, width: int, layers: int, heads: int, patch: int, grid: int, embed: int, activation: str) -> None:
        super().__init__()
        self.grid = grid
        self.class_embedding = _random(width, std=width**-0.5)
        self.positional_embedding = _random(grid * grid + 1, width, std=width**-0.5)
        self.proj = _random(width, embed, std=width**-0.5)
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = _Transformer(width, layers, heads, activation)
        self.ln_post = nn.LayerNorm(width)

    def _positions(self, size: torch.Size) -> torch.Tensor:
        own = self.positional_embedding[1:]
        if tuple(size) != (self.grid, self.grid):
            square = own.T.unflatten(1, (self.grid, self.grid))[None]
            own = functional.interpolate(square, tuple(size), mode="bicubic", align_corners=False)[0].flatten(1).T
        return torch.cat([self.positional_embedding[:1], own])

    def tokens(self, images: torch.Tensor, change: Change | None = None) -> torch.Tensor:
        """Images (B, 3, H, W) to what the first block sees: the class token and the places row by row."""
        patches = self.conv1(images)
        places = patches.flatten(2).transpose(1, 2)
        if change is not None:
            places = change(0, places)
        tokens = torch.cat([self.class_embedding.expand(len(images), 1, -1), places], 1)
        return self.ln_pre(tokens + self._positions(patches.shape[2:]))

    def trace(self, images: torch.Tensor, change: Change | None = None) -> Iterator[torch.Tensor]:
        """What each block gives as in pre-training, one after the other, (B, 1 + h w, width).

        Args:
            images: (B, 3, H, W).
            change: What becomes of the places after the patches' convolution and after each block, see ``Change``.
        """
        x = self.tokens(images, change)
        for depth, block in enumerate(self.transformer.resblocks, start=1):
            x = block(x)
            if change is not None:
                x = torch.cat([x[:, :1], change(depth, x[:, 1:])], 1)
            yield x

    def whole(self, last: torch.Tensor) -> torch.Tensor:
        """Features (B, embed) of images, not normalised, from what the last block gives."""
        return self.ln_post(last[:, 0]) @ self.proj

    def forward(self, images: torch.Tensor, taps: Sequence[int]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Images (B, 3, S, S) to maps (B, embed, h, w) and, after each block in ``taps``, (B, width, h, w)."""
        x = self.tokens(images)
        side = math.isqrt(x.shape[1] - 1)
        tapped = {}
        blocks: list[Any] = list(self.transformer.resblocks)
        for i, block in enumerate(blocks[:-1]):
            x = block(x)
            if i in taps:
                tapped[i] = _to_map(x[:, 1:], side)
        dense = self.ln_post(blocks[-1].dense(x)) @ self.proj
        return _to_map(dense, side), [tapped[i] for i in taps]

    def self_self(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, H, W) to tokens (B, 1 + h w, embed), of whose last block only the attention is left."""
        x = self.tokens(images)
        blocks: list[Any] = list(self.transformer.resblocks)
        for block in blocks[:-1]:
            x = block(x)
        return self.ln_post(blocks[-1].attn.self_self(blocks[-1].ln_1(x))) @ self.proj


def _to_map(tokens: torch.Tensor, side: int) -> torch.Tensor:
    return tokens.transpose(1, 2).unflatten(2, (side, side))


class TextTower(BaseModule):
    """What every CLIP model here has: its tower for texts, and beside it ``visual``, one for images.

    Args:
        visual: The tower for images.
        text: What differs in the tower for texts from ``width=512, layers=12, heads=8, vocabulary=49408, context=77``.
        embed: Channels that both towers end in.
        activation: ``"quick_gelu"`` (OpenAI's weights) or ``"gelu"`` (open_clip's own, RemoteCLIP's).
        weights: File or files to start from, read by :meth:`init_weights`, see
            :func:`rsseg.models.gsnet.clip_files.read_clip`; None starts at random.

    Source: OpenAI's CLIP (names).
    """

    def __init__(
        self,
        visual: nn.Module,
        text: Mapping[str, int] | None,
        embed: int,
        activation: str,
        weights: str | Sequence[str] | None,
    ) -> None:
        super().__init__()
        read = {**_TEXT, **(text or {})}
        self.embed, self.weights = embed, weights
        self.context: int = read["context"]
        width = read["width"]
        self.positional_embedding = _random(self.context, width, std=0.01)
        self.text_projection = _random(width, embed, std=width**-0.5)
        self.logit_scale = nn.Parameter(torch.tensor(_LOGIT_SCALE))
        self.visual: Any = visual
        self.transformer = _Transformer(width, read["layers"], read["heads"], activation)
        self.token_embedding = nn.Embedding(read["vocabulary"], width)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        self.ln_final = nn.LayerNorm(width)

    def init_weights(self) -> None:
        """Take the weights of the file, if there is one; a runner calls this before it trains."""
        if self.weights is not None:
            own = {key: value.shape for key, value in self.state_dict().items()}
            self.load_state_dict(read_clip(self.weights, own))

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        """Features of texts.

        Args:
            tokens: (N, L) int64, L at most ``context``; the highest id of a row ends the text.  What stands behind the
                longest text is cut off: no token looks ahead, so it changes nothing.

        Returns:
            (N, embed), not normalised.

        Raises:
            ConfigError: A row is longer than ``context``.
        """
        ends = tokens.argmax(1)
        length = int(ends.max()) + 1
        if length > self.context:
            raise ConfigError(f"the texts have {length} tokens; CLIP reads at most {self.context}")
        device = self.token_embedding.weight.device
        tokens, ends = tokens[:, :length].to(device), ends.to(device)
        x = self.token_embedding(tokens) + self.positional_embedding[:length]
        for block in self.transformer.resblocks:
            x = block(x, causal=True)
        return self.ln_final(x[torch.arange(len(x), device=device), ends]) @ self.text_projection

    def text_parameters(self) -> list[nn.Parameter]:
        """The parameters that texts' features depend on."""
        of_images = ("visual.", "logit_scale")
        return [value for name, value in self.named_parameters() if not name.startswith(of_images)]


@MODELS.register_module()
class CLIP(TextTower):
    """CLIP with a map instead of a vector for each image; the defaults are ViT-B/16.

    In the last block of the image tower no token looks at another: each gives its own value, and the residual is the
    class token's row for all.  That block's queries and keys are there for the files' sake and get no gradient.

    Args:
        visual: What differs in the tower for images from ``width=768, layers=12, heads=12, patch=16, grid=14``;
            ``grid`` is the side of the table of positions, that is of the patches in pre-training.
        text: What differs in the tower for texts from ``width=512, layers=12, heads=8, vocabulary=49408, context=77``.
        embed: Channels that both towers end in.
        resolution: Side in pixels to which images are brought, a multiple of ``patch``.
        taps: Blocks of the image tower, counted from 0, whose outputs are given too; not the last one.
        activation: ``"quick_gelu"`` (OpenAI's weights) or ``"gelu"`` (open_clip's own, RemoteCLIP's).
        weights: File or files to start from, read by :meth:`init_weights`, see
            :func:`rsseg.models.gsnet.clip_files.read_clip`; None starts at random.

    Raises:
        ConfigError: ``resolution``, ``taps``, ``activation`` or the heads are not among what is allowed.

    Source: OpenAI's CLIP (names); GSNet release (dense last block, taps, bicubic positions).
    """

    def __init__(
        self,
        visual: Mapping[str, int] | None = None,
        text: Mapping[str, int] | None = None,
        embed: int = 512,
        resolution: int = 384,
        taps: Sequence[int] = (3, 7),
        activation: str = "quick_gelu",
        weights: str | Sequence[str] | None = None,
    ) -> None:
        seen = {**_VISUAL, **(visual or {})}
        _check(seen, resolution, taps, activation)
        super().__init__(_Visual(**seen, embed=embed, activation=activation), text, embed, activation, weights)
        self.resolution, self.taps = resolution, tuple(taps)
        self.channels: int = seen["width"]
        self.grid: int = resolution // seen["patch"]

    def encode_image(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Dense features of images, and what the taps give.

        Args:
            images: (B, 3, H, W), normalised, of any size.

        Returns:
            (B, embed, h, w), not normalised, and for each tap (B, width, h, w) as it is between two blocks; h and w are
            ``grid``.
        """
        return self.visual(fit_image(images, self.resolution), self.taps)

    def encode_places(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features of images by attention among like tokens in the last block, without its residual and MLP.

        Args:
            images: (B, 3, H, W), normalised; sides are multiples of the patch.

        Returns:
            (B, embed) of the class token, and (B, embed, H / patch, W / patch); not normalised.

        Source: SegEarth-OV, section 3.3.
        """
        tokens, patch = self.visual.self_self(images), self.visual.conv1.kernel_size[0]
        size = (images.shape[2] // patch, images.shape[3] // patch)
        return tokens[:, 0], tokens[:, 1:].transpose(1, 2).unflatten(2, size)


def _check(visual: Mapping[str, Any], resolution: int, taps: Sequence[int], activation: str) -> None:
    if resolution % visual["patch"] or resolution <= 0:
        raise ConfigError(f"resolution={resolution}: expected a multiple of the patch size, {visual['patch']} pixels")
    if any(not 0 <= tap < visual["layers"] - 1 for tap in taps):
        raise ConfigError(
            f"taps={tuple(taps)}: expected numbers from 0 to {visual['layers'] - 2}, the blocks before the last"
        )
    if activation not in _ACTIVATIONS:
        raise ConfigError(f"activation={activation!r}: expected one of: {', '.join(_ACTIVATIONS)}")
