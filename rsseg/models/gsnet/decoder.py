"""RIPD: two stages that double the grid, each with intermediate features of both image streams beside the classes.

Shapes: B images, T classes, C channels, h x w places of the coarse grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError

__all__ = ["DecoderStage", "DoubleConv", "ResidualDecoder"]

_AT_ONCE = 32
"""Maps of single classes that are decoded together without gradients: they stay in the cache, and memory is bounded."""


class DoubleConv(nn.Module):
    """Twice a 3 x 3 convolution, a norm of groups of 16 channels and ReLU.

    Args:
        channels: Channels before.
        out: Channels after.
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        groups = max(out // 16, 1)
        self.double_conv = nn.Sequential(
            nn.Conv2d(channels, out, 3, padding=1, bias=False),
            nn.GroupNorm(groups, out),
            nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
            nn.GroupNorm(groups, out),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (N, channels, h, w) to maps (N, out, h, w)."""
        return self.double_conv(x)


class DecoderStage(nn.Module):
    """Doubles the grid, appends the guidance and applies two 3 x 3 convolutions.

    The guidance is the same for all classes of an image, so its part of the first convolution is computed once.

    Args:
        channels: Channels before; a guidance map's are taken off by the doubling.
        guidance: Channels of one stream's guidance.
        streams: Number of streams.
        out: Channels after.
        reduced: Whether a 3 x 3 convolution of its own, with a bias, brings the joined maps to ``out`` channels first.
    """

    def __init__(self, channels: int, guidance: int, streams: int, out: int, reduced: bool = False) -> None:
        super().__init__()
        self.own = channels - guidance
        self.up = nn.ConvTranspose2d(channels, self.own, 2, stride=2)
        joined = self.own + guidance * streams
        self.reduction = nn.Conv2d(joined, out, 3, padding=1) if reduced else None
        self.conv = DoubleConv(out if reduced else joined, out)

    @property
    def first(self) -> Any:
        """The convolution that sees the guidance."""
        return self.conv.double_conv[0] if self.reduction is None else self.reduction

    def of_guidance(self, guidance: torch.Tensor) -> torch.Tensor:
        """The guidance's part of the first convolution: (B, streams * C, 2h, 2w) -> (B, out, 2h, 2w)."""
        return functional.conv2d(guidance, self.first.weight[:, self.own :], padding=1)

    def forward(self, x: torch.Tensor, added: torch.Tensor | None) -> torch.Tensor:
        """Maps of twice the size.

        Args:
            x: (B, T, C, h, w).
            added: What :meth:`of_guidance` gave; None without streams.
        """
        b, t = x.shape[:2]
        x = functional.conv2d(self.up(x.flatten(0, 1)), self.first.weight[:, : self.own], self.first.bias, padding=1)
        if added is not None:
            x = (x.unflatten(0, (b, t)) + added[:, None]).flatten(0, 1)
        for step in self.conv.double_conv[1 if self.reduction is None else 0 :]:
            x = step(x)
        return x.unflatten(0, (b, t))


def _projections(channels: Sequence[int], out: Sequence[int]) -> nn.ModuleList:
    return nn.ModuleList(
        nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.ReLU())
        for before, after in zip(channels, out, strict=True)
    )


@MODELS.register_module()
class ResidualDecoder(nn.Module):
    """Logits of every class at four times the coarse grid.

    Args:
        channels: Channels of the classes' embedding.
        widths: Channels after the two stages.
        guidance: Streams whose intermediate features take part: any of "clip" and "dino", in the release's order.
        guidance_in: Channels of a stream's maps at the two stages.
        guidance_channels: Channels that they are projected to.
        as_printed: Stages as in equation 5 of the paper, which have a convolution more than the release's.

    Raises:
        ConfigError: A stream is unknown, or named twice.

    Source: GSNet release; names of parameters are the release's.  Equations 5 and 6 with ``as_printed``, where
    ``reduction`` is the name of the convolution that the release does not have.
    """

    def __init__(
        self,
        channels: int = 128,
        widths: Sequence[int] = (64, 32),
        guidance: Sequence[str] = ("clip", "dino"),
        guidance_in: Sequence[int] = (256, 128),
        guidance_channels: Sequence[int] = (32, 16),
        as_printed: bool = False,
    ) -> None:
        super().__init__()
        if set(guidance) - {"clip", "dino"} or len(set(guidance)) != len(guidance):
            raise ConfigError(f"guidance={tuple(guidance)}: expected 'clip' and 'dino', each at most once")
        self.guidance = tuple(guidance)
        if "clip" in guidance:
            self.CLIP_decoder_guidance_projection = _projections(guidance_in, guidance_channels)
        if "dino" in guidance:
            self.DINO_decoder_guidance_projection = _projections(guidance_in, guidance_channels)
        streams = len(self.guidance)
        self.Fusiondecoder1 = DecoderStage(channels, guidance_channels[0], streams, widths[0], as_printed)
        self.Fusiondecoder2 = DecoderStage(widths[0], guidance_channels[1], streams, widths[1], as_printed)
        self.head = nn.Conv2d(widths[1], 1, 3, padding=1)

    def forward(
        self,
        x: torch.Tensor,
        clip: Sequence[torch.Tensor] | None = None,
        dino: Sequence[torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Logits (B, T, 4h, 4w).

        Args:
            x: Embedding of the classes (B, T, channels, h, w).
            clip: CLIP's two guidance maps: at twice and four times the grid; not used without "clip".
            dino: The specialist's, likewise.
        """
        added = self._of_guidance({"clip": clip, "dino": dino})
        if torch.is_grad_enabled():
            return self._decode(x, added)
        parts = x.split(max(_AT_ONCE // x.shape[0], 1), dim=1)
        return torch.cat([self._decode(part, added) for part in parts], dim=1)

    def _of_guidance(self, maps: dict[str, Sequence[torch.Tensor] | None]) -> list[torch.Tensor | None]:
        stages: list[torch.Tensor | None] = []
        for i, stage in enumerate((self.Fusiondecoder1, self.Fusiondecoder2)):
            given = []
            for name in self.guidance:
                own = maps[name]
                if own is None:
                    raise ConfigError(f"decoder.guidance names {name!r}, but the model has no such encoder")
                given.append(getattr(self, f"{name.upper()}_decoder_guidance_projection")[i](own[i]))
            stages.append(stage.of_guidance(torch.cat(given, dim=1)) if given else None)
        return stages

    def _decode(self, x: torch.Tensor, added: Sequence[torch.Tensor | None]) -> torch.Tensor:
        x = self.Fusiondecoder2(self.Fusiondecoder1(x, added[0]), added[1])
        return self.head(x.flatten(0, 1))[:, 0].unflatten(0, x.shape[:2])
