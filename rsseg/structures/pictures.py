"""Pictures people look at: labels in colour, panels side by side."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

__all__ = ["blend", "colourise", "indexed", "panel"]

_STRIP = 22
_GAP = 4


def colourise(labels: NDArray[np.integer], palette: Sequence[Sequence[int]], unlabelled: int = 255) -> Pixels:
    """Class ids (H, W), 255 where unlabelled, as RGB (H, W, 3); unlabelled pixels take the grey ``unlabelled``."""
    colours = np.full((256, 3), unlabelled, np.uint8)
    colours[: len(palette)] = palette
    return colours[np.asarray(labels, dtype=np.uint8)]


def indexed(values: Pixels, colours: Pixels) -> Image.Image:
    """Image of mode P whose pixels are ``values`` (H, W) and whose palette is ``colours`` (256, 3) RGB, both uint8."""
    image = Image.fromarray(values)
    image.putpalette(colours.tobytes())
    return image


def blend(image: Pixels, labels: NDArray[np.integer], palette: Sequence[Sequence[int]], alpha: float = 0.5) -> Pixels:
    """Image (H, W, 3) with the labelled pixels of (H, W) tinted by share ``alpha``; 255 stays as it is."""
    tint = colourise(labels, palette)
    mixed = image * (1 - alpha) + tint * alpha
    return np.where((labels == 255)[..., None], image, mixed).astype(np.uint8)


def panel(images: Sequence[Pixels], titles: Sequence[str], height: int | None = None) -> Pixels:
    """RGB images (H, W, 3) side by side under their titles.

    Args:
        images: Images; all are scaled to the first one's height.
        titles: One (ASCII) title per image.
        height: Height of the images in the panel in pixels; the first image's by default.

    Returns:
        (height + 22, total width, 3) uint8.
    """
    height = height or images[0].shape[0]
    columns = []
    for image, title in zip(images, titles, strict=True):
        width = max(1, round(image.shape[1] * height / image.shape[0]))
        shrink = image.shape[0] > height
        scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_NEAREST)
        strip = np.full((_STRIP, width, 3), 255, np.uint8)
        cv2.putText(strip, title, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (20, 20, 20), 1, cv2.LINE_AA)
        columns += [np.concatenate([strip, scaled]), np.full((height + _STRIP, _GAP, 3), 255, np.uint8)]
    return np.concatenate(columns[:-1], axis=1)
