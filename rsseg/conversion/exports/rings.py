"""Outlines of masks along the edges of their pixels."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from rsseg.structures.masks import MaskCrop
from rsseg.structures.rings import ring_area

__all__ = ["Outline", "mask_outline"]

Ints = NDArray[np.int64]


class Outline(NamedTuple):
    """A mask as one ring: (V, 2) int64 corners x y in image pixels; its parts, and the pixels of holes it covers."""

    ring: Ints
    parts: int
    filled: int


def mask_outline(mask: MaskCrop) -> Outline:
    """One ring around all parts of a mask that is not empty; holes are filled.

    The ring runs along pixel edges, so its inside is the mask exactly, also where that is one pixel thin.  Parts are
    joined by bridges of no width between their nearest corners, the largest part first.
    """
    doubled = np.repeat(np.repeat(mask.pixels.astype(np.uint8), 2, axis=0), 2, axis=1)
    contours = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    # Pixel c became columns 2c and 2c + 1, in which the contour passes: its edges c and c + 1.
    rings = [_without_repeats((contour.reshape(-1, 2).astype(np.int64) + 1) // 2) for contour in contours]
    areas = [abs(int(ring_area(ring))) for ring in rings]
    order = sorted(range(len(rings)), key=lambda i: (-areas[i], rings[i].tolist()))
    ring = rings[order[0]]
    for i in order[1:]:
        ring = _joined(ring, rings[i])
    return Outline(ring + np.array([mask.x, mask.y]), len(rings), sum(areas) - mask.area)


def _without_repeats(ring: Ints) -> Ints:
    return ring[(ring != np.roll(ring, 1, axis=0)).any(axis=1)]


def _joined(ring: Ints, part: Ints) -> Ints:
    distances = ((ring[:, None] - part[None]) ** 2).sum(axis=-1)
    i, j = np.unravel_index(int(distances.argmin()), distances.shape)
    turned = np.roll(part, -int(j), axis=0)
    return np.concatenate([ring[: i + 1], turned, turned[:1], ring[i:]])
