"""From logits of squeezed views to probabilities of whole images: the released protocol, and images of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from torch.nn import functional

from rsseg.errors import ConfigError

__all__ = ["AnySizePreprocessor", "FiveViews", "resized", "stored_image"]


def resized(maps: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Maps (N, C, H, W) at another size: bilinear, corners not aligned, not smoothed."""
    if tuple(maps.shape[2:]) == tuple(size):
        return maps
    return functional.interpolate(maps, tuple(size), mode="bilinear", align_corners=False)


def stored_image(image: torch.Tensor, meta: dict[str, Any]) -> torch.Tensor:
    """What an image (..., H, W) is without the padding that its meta information tells of."""
    left, right, top, bottom = meta.get("img_padding_size", meta.get("padding_size", [0] * 4))
    return image[..., top : image.shape[-2] - bottom, left : image.shape[-1] - right]


class FiveViews:
    """An image as overlapping windows of a square canvas and, last, one view of all of it.

    Args:
        size: Side of the canvas that the image is squeezed to.
        crop: Side of the windows and of the view of the whole, or (height, width), which must be equal.
        overlap: Share of a window that its neighbour covers too.

    Raises:
        ConfigError: The windows are no squares, or do not end where the canvas ends.

    Source: GSNet release: 640, 384 and 0.333, which gives two by two windows.
    """

    def __init__(self, size: int = 640, crop: int | Sequence[int] = 384, overlap: float = 0.333) -> None:
        if not isinstance(crop, int):
            if len(set(crop)) != 1:
                raise ConfigError(f"crop_size={tuple(crop)}: expected a square, since the five views are squares")
            crop = crop[0]
        self.size, self.crop, stride = size, crop, int(crop * (1 - overlap))
        if stride < 1 or size < crop or (size - crop) % stride:
            raise ConfigError(f"windows of {crop} pixels with stride {stride} do not cover {size} pixels exactly")
        steps = range(0, size - crop + 1, stride)
        self.places = [(slice(y, y + crop), slice(x, x + crop)) for y in steps for x in steps]

    def __len__(self) -> int:
        return len(self.places) + 1

    def cut(self, image: torch.Tensor) -> torch.Tensor:
        """Views (V, 3, crop, crop) of an image (3, H, W)."""
        canvas, whole = resized(image[None], (self.size,) * 2), resized(image[None], (self.crop,) * 2)
        return torch.cat([canvas[(..., *place)] for place in self.places] + [whole])

    def merge(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities (C, size, size) of an image: half the mean of the windows there, half the view of the whole.

        Args:
            logits: (V, C, h, w) of the views.
        """
        views = resized(logits, (self.crop,) * 2).sigmoid()
        total = views.new_zeros(views.shape[1], self.size, self.size)
        count = views.new_zeros(self.size, self.size)
        for view, place in zip(views[:-1], self.places, strict=True):
            total[(..., *place)] += view
            count[place] += 1
        whole = resized(views[-1:], (self.size,) * 2)[0]
        return total.div_(count).add_(whole).div_(2)


@MODELS.register_module()
class AnySizePreprocessor(SegDataPreProcessor):
    """mmseg's preprocessor that, outside of training, also takes images of different sizes: it then gives a list."""

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Normalised ``inputs``, (N, 3, H, W) or a list of (3, H, W), and ``data_samples`` on the model's device."""
        images, samples = data["inputs"], data.get("data_samples")
        if training or len({tuple(image.shape[-2:]) for image in images}) < 2:
            return super().forward(data, training)
        parts = [super(AnySizePreprocessor, self).forward({"inputs": [image]}) for image in images]
        return {
            "inputs": [part["inputs"][0] for part in parts],
            "data_samples": None if samples is None else self.cast_data(samples),
        }
