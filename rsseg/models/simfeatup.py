"""SimFeatUp: features at the resolution of their image, by one learned joint bilateral upsampler used four times.

B images, C channels, H x W pixels, K = (2 radius + 1)^2 neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

from rsseg.errors import DataError
from rsseg.io.checkpoints import read_state
from rsseg.structures.keys import compare_keys

__all__ = ["JointBilateral", "SimFeatUp"]

_PREFIX = "upsampler."
_SHARE = 0.1
"""Of what the two correcting convolutions add."""


class JointBilateral(nn.Module):
    """Weighs the neighbours of each pixel by distance and by how alike the guidance is there.

    The sums run over one neighbour after the other, since all neighbours of 512 channels at 224 x 224 pixels would take
    12 GB.

    Args:
        radius: Neighbours to each side.
        channels: Of the projected guidance.

    Source: FeatUp (its learned range kernel and the names of its weights).
    """

    def __init__(self, radius: int = 5, channels: int = 32) -> None:
        super().__init__()
        self.radius, count = radius, (2 * radius + 1) ** 2
        self.range_temp = nn.Parameter(torch.zeros(()))
        self.sigma_spatial = nn.Parameter(torch.ones(()))
        self.range_proj = _two_convs(3, channels)
        self.fixup_proj = _two_convs(3 + count, count)

    def forward(self, source: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        """Features (B, C, h, w) at the size of the guidance (B, 3, H, W); both sides of it exceed the radius."""
        kernel = self.kernel(guidance)
        large = functional.interpolate(source, guidance.shape[2:], mode="bicubic", align_corners=False)
        out = torch.zeros_like(large)
        for i, shifted in enumerate(self._shifted(large)):
            out.addcmul_(shifted, kernel[:, i : i + 1])
        return out

    def kernel(self, guidance: torch.Tensor) -> torch.Tensor:
        """Weights (B, K, H, W) of each pixel's neighbours, row by row."""
        projected = self.range_proj(guidance)
        alike = torch.cat([(own * projected).sum(1, keepdim=True) for own in self._shifted(projected)], dim=1)
        near = (self.range_temp.exp().clamp(1e-4, 1e4) * alike).softmax(dim=1) * self._distances()
        near = near / near.sum(1, keepdim=True).clamp(min=1e-7)
        return near + _SHARE * self.fixup_proj(torch.cat([near, guidance], dim=1))

    def _distances(self) -> torch.Tensor:
        steps = torch.linspace(-1, 1, 2 * self.radius + 1, device=self.sigma_spatial.device)
        squares = steps.square()[:, None] + steps.square()
        return (-squares / (2 * self.sigma_spatial**2)).exp().reshape(1, -1, 1, 1)

    def _shifted(self, maps: torch.Tensor) -> Iterator[torch.Tensor]:
        """The map as each neighbour's pixel sees it; mirrored at the border."""
        padded = functional.pad(maps, [self.radius] * 4, mode="reflect")
        height, width = maps.shape[2:]
        side = 2 * self.radius + 1
        for y in range(side):
            for x in range(side):
                yield padded[:, :, y : y + height, x : x + width]


def _two_convs(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 1), nn.GELU(), nn.Dropout2d(0.1), nn.Conv2d(out, out, 1))


@MODELS.register_module()
class SimFeatUp(BaseModule):
    """Features of patches of 16 pixels at every pixel: ``jbu_one`` of SegEarth-OV's release.

    Args:
        channels: Of the features.
        radius: Neighbours to each side.
        weights: The release's file (``xclip_jbu_one_million_aid.ckpt``), read by :meth:`init_weights`.

    Source: SegEarth-OV (arXiv 2410.01768), section 3.2, and its release.
    """

    factor = 16

    def __init__(self, channels: int = 512, radius: int = 5, weights: str | None = None) -> None:
        super().__init__()
        self.weights = weights
        self.up = JointBilateral(radius)
        self.fixup_proj = nn.Sequential(nn.Dropout2d(0.2), nn.Conv2d(channels, channels, 1))

    def init_weights(self) -> None:
        """Take the weights of the file, if one is named.

        Raises:
            FileNotFoundError: There is no such file.
            DataError: Its weights are not those of this upsampler.
        """
        if self.weights is None:
            return
        advice = "it is in SegEarth-OV's repository, simfeatup_dev/weights; model.upsampler=None does without"
        state = {key.removeprefix(_PREFIX): value for key, value in read_state(self.weights, advice=advice).items()}
        if problems := compare_keys(state, self.state_dict()):
            raise DataError(f"{self.weights}: does not fit SimFeatUp: {problems}; expected the release's 'jbu_one'")
        self.load_state_dict(state)

    def forward(self, source: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Features (B, C, h, w) of an image (B, 3, 16 h, 16 w) to (B, C, 16 h, 16 w)."""
        x = source
        for _ in range(4):
            x = self.up(x, functional.adaptive_avg_pool2d(image, (2 * x.shape[2], 2 * x.shape[3])))
        return x + _SHARE * self.fixup_proj(x)
