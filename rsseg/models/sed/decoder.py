"""SED's decoder: from the similarities of places and texts to logits of every class at eight times the grid.

Shapes: B images, T classes, P texts of a class, C channels, h x w places.  Names of parameters are the release's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from rsseg.models.gsnet.aggregator import linear_attention, positive
from rsseg.models.gsnet.decoder import DoubleConv

__all__ = ["ClassMixer", "ConvNeXtBlock", "CostDecoder", "CostStage"]

_AT_ONCE = 32
"""Maps of single classes that are computed together without gradients, so that memory is bounded."""


def _by_class(step: Callable[..., torch.Tensor], *maps: torch.Tensor) -> torch.Tensor:
    """``step`` of maps (B, T, ...) with images and classes folded together; in parts where no gradients are kept."""
    flat = [each.flatten(0, 1) for each in maps]
    if torch.is_grad_enabled():
        out = step(*flat)
    else:
        out = torch.cat([step(*part) for part in zip(*(each.split(_AT_ONCE) for each in flat), strict=True)])
    return out.unflatten(0, maps[0].shape[:2])


class ConvNeXtBlock(nn.Module):
    """A wide convolution of each channel, then an MLP of each place, with a residual.

    Args:
        channels: Channels.
        kernel: Side of the convolution.

    Source: ConvNeXt; SED release (``gamma`` starts at 1).
    """

    def __init__(self, channels: int, kernel: int = 9) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, h, w) to maps of the same shape."""
        places = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        places = self.gamma * self.pwconv2(functional.gelu(self.pwconv1(places)))
        return x + places.permute(0, 3, 1, 2)


class _Projections(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.q = nn.Linear(channels, channels)
        self.k = nn.Linear(channels, channels)
        self.v = nn.Linear(channels, channels)


class ClassMixer(nn.Module):
    """Linear attention over the classes of each place, then an MLP; CAT-Seg's without guidance and padding.

    Args:
        channels: Channels.
        heads: Attention heads.
        pooling: Places along a side that are averaged to one in training; in evaluation every place has its own.

    Source: SED release: what is mixed is added to what came in, beside the residuals within.
    """

    def __init__(self, channels: int, heads: int = 4, pooling: int = 2) -> None:
        super().__init__()
        self.heads, self.pooling = heads, pooling
        self.attention = _Projections(channels)
        self.MLP = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.ReLU(inplace=True), nn.Linear(4 * channels, channels)
        )
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (B, T, C, h, w) to maps of the same shape."""
        classes, size = x.shape[1], x.shape[3:]
        maps = x.flatten(0, 1)
        if self.training and self.pooling > 1:
            maps = functional.avg_pool2d(maps, [min(self.pooling, side) for side in size])
        small = maps.shape[2:]
        tokens = maps.unflatten(0, (-1, classes)).permute(0, 3, 4, 1, 2)  # (B, h, w, T, C)
        mixed = self._mix(tokens).permute(0, 3, 4, 1, 2).flatten(0, 1)
        if small != size:
            mixed = functional.interpolate(mixed, size, mode="bilinear", align_corners=True)
        return x + mixed.unflatten(0, (-1, classes))

    def _mix(self, tokens: torch.Tensor) -> torch.Tensor:
        normed, own = self.norm1(tokens), self.attention
        q, k, v = (layer(normed).unflatten(-1, (self.heads, -1)).transpose(-3, -2) for layer in (own.q, own.k, own.v))
        out = linear_attention(positive(q), positive(k), v)
        tokens = tokens + out.transpose(-3, -2).flatten(-2)
        return tokens + self.MLP(self.norm2(tokens))


class CostStage(nn.Module):
    """Mixes places, then classes, doubles the grid, and convolves beside the guidance of image and similarities.

    Args:
        channels: Channels before.
        guidance: Channels of each of the two guidances.
        out: Channels after.
        kernel: See :class:`ConvNeXtBlock`.
        heads: See :class:`ClassMixer`.
        pooling: See :class:`ClassMixer`.
    """

    def __init__(self, channels: int, guidance: int, out: int, kernel: int, heads: int, pooling: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, channels - guidance, 2, stride=2)
        self.conv = DoubleConv(channels + guidance, out)
        self.cnext = ConvNeXtBlock(channels, kernel)
        self.attention = ClassMixer(channels, heads, pooling)

    def forward(self, x: torch.Tensor, image: torch.Tensor, cost: torch.Tensor) -> torch.Tensor:
        """Maps (B, T, out, 2h, 2w).

        Args:
            x: (B, T, channels, h, w).
            image: (B, guidance, 2h, 2w), the same for all classes.
            cost: (B, T, guidance, 2h, 2w).
        """
        x = self.attention(_by_class(self.cnext, x))
        return _by_class(self._grow, x, image[:, None].expand(-1, x.shape[1], -1, -1, -1), cost)

    def _grow(self, x: torch.Tensor, image: torch.Tensor, cost: torch.Tensor) -> torch.Tensor:
        return self.conv(torch.cat([self.up(x), image, cost], dim=1))


class CostDecoder(nn.Module):
    """Logits of every class at eight times the coarse grid, and coarser ones before each of the three stages.

    Args:
        prompts: Texts of a class, P.
        channels: Channels of a class's embedding.
        widths: Channels after the three stages.
        image_channels: Channels of the image's maps at twice, four and eight times the grid.
        guidance: Channels that the guidance of the three stages has.
        kernel: Side of the stages' wide convolutions.
        heads: Attention heads over the classes.
        pooling: See :class:`ClassMixer`.
        detach_heads: The coarser logits' losses train their own heads only, as in the release.
        checkpointing: Compute the stages again for the gradients, which saves most of the memory.

    Source: SED release.
    """

    def __init__(
        self,
        prompts: int = 80,
        channels: int = 128,
        widths: Sequence[int] = (64, 32, 16),
        image_channels: Sequence[int] = (512, 256, 128),
        guidance: Sequence[int] = (32, 16, 8),
        kernel: int = 9,
        heads: int = 4,
        pooling: int = 2,
        detach_heads: bool = False,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.prompts, self.detach_heads, self.checkpointing = prompts, detach_heads, checkpointing
        self.conv1 = nn.Conv2d(prompts, channels, 7, padding=3)
        self.decoder_guidance_projection = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.ReLU())
            for before, after in zip(image_channels, guidance, strict=True)
        )
        self.decoder_corr_guidance_projection = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(before, after, 2, stride=2), nn.ReLU())
            for before, after in zip((prompts, *guidance[:-1]), guidance, strict=True)
        )
        befores = (channels, *widths[:-1])
        stages = [CostStage(*sizes, kernel, heads, pooling) for sizes in zip(befores, guidance, widths, strict=True)]
        self.decoder1, self.decoder2, self.decoder3 = stages
        self.head0, self.head1, self.head2, self.head = (
            nn.Conv2d(width, 1, 3, padding=1) for width in (*befores, widths[-1])
        )

    @property
    def _stages(self) -> tuple[CostStage, CostStage, CostStage]:
        return self.decoder1, self.decoder2, self.decoder3

    @property
    def _coarse_heads(self) -> tuple[nn.Module, nn.Module, nn.Module]:
        return self.head0, self.head1, self.head2

    def forward(self, cosines: torch.Tensor, maps: Sequence[torch.Tensor], coarse: bool = True) -> list[torch.Tensor]:
        """Logits of the classes, the finest first: (B, T, 8h, 8w), then h, 2h and 4h, if ``coarse``.

        Args:
            cosines: Of every place with every text (B, T, P, h, w).
            maps: The image's, at twice, four and eight times the grid; no gradient goes back to them.
            coarse: Whether all four are wanted.
        """
        x, images, costs = self._begin(cosines, maps)
        out = []
        for stage, head, image, cost in zip(self._stages, self._coarse_heads, images, costs, strict=True):
            if coarse:
                out.append(self._read(head, x.detach() if self.detach_heads else x))
            if self.checkpointing and torch.is_grad_enabled():
                x = cast(torch.Tensor, checkpoint(stage, x, image, cost, use_reentrant=False))
            else:
                x = stage(x, image, cost)
        return [self._read(self.head, x), *out]

    def fast(self, cosines: torch.Tensor, maps: Sequence[torch.Tensor], keep: int) -> torch.Tensor:
        """Logits (1, T, 8h, 8w) of one image, of which only classes are computed that come near the best somewhere.

        Before each stage a class stays if it is among the best ``keep`` of any place; the others get -inf.

        Args:
            cosines: (1, T, P, h, w).
            maps: As for :meth:`forward`.
            keep: How many.

        Source: SED, section 3.4, and its release.
        """
        x, images, costs = self._begin(cosines, maps)
        left = torch.arange(cosines.shape[1], device=cosines.device)
        for i, (stage, head) in enumerate(zip(self._stages, self._coarse_heads, strict=True)):
            scores = self._read(head, x)
            best = scores.topk(min(keep, scores.shape[1]), dim=1).indices.unique()
            x, left, costs = x[:, best], left[best], [cost[:, best] for cost in costs]
            x = stage(x, images[i], costs[i])
        logits = self._read(self.head, x)
        out = logits.new_full((1, cosines.shape[1], *logits.shape[2:]), -torch.inf)
        out[:, left] = logits
        return out

    def _begin(
        self, cosines: torch.Tensor, maps: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        """Embedding of the classes, and the guidance of the three stages by the image and by the similarities."""
        pairs: Any = zip(self.decoder_guidance_projection, maps, strict=True)
        images = [projection(own.detach()) for projection, own in pairs]
        costs, x = list[torch.Tensor](), cosines
        for projection in self.decoder_corr_guidance_projection:
            x = _by_class(projection, x)
            costs.append(x)
        return _by_class(self.conv1, cosines), images, costs

    def _read(self, head: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return _by_class(head, x)[:, :, 0]
