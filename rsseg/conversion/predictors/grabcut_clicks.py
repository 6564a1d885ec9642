"""What GrabCut is told by clicks: sure pixels around them, and probable ones of a like colour that hang together."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["COLLAPSED", "add_seeds", "click_box", "click_trimap", "clicked_parts"]

_REACH = 0.15
"""Surroundings of the clicks in which an object is looked for, as a share of the image's longer side."""
_LEAST_REACH = 128
"""The same in pixels, by which small pictures of one object are looked at as a whole."""
_SEED = 2
"""Radius in pixels of what is sure around a click."""
_NEAR, _LEAST_NEAR = 0.1, 12
"""How far from pixels of a like colour the object may reach: a share of the patch's longer side, and pixels."""
_LIKE = 26
"""Difference in each channel of CIELAB (0 to 255) up to which a pixel is probably of the clicked object."""
COLLAPSED = 0.1
"""Share of the pixels that are probably of the object below which a cut is no object, only its clicks."""


def click_box(points: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """The surroundings (4,) x1 y1 x2 y2 of clicks (K, 2) on an object, within an image of ``size`` (H, W)."""
    reach = max(_LEAST_REACH, _REACH * max(size))
    limit = np.array([size[1], size[0]], np.float64)
    return np.clip([points.min(axis=0) - reach, points.max(axis=0) + reach], 0, np.tile(limit, (2, 1))).ravel()


def click_trimap(
    pixels: NDArray[np.uint8], clicks: NDArray[np.float64], labels: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """OpenCV's marks of a patch (H, W, 3) uint8 RGB, whose border is sure background.

    Args:
        pixels: The patch.
        clicks: (K, 2) x y in the patch.
        labels: (K,) 1 = on the object, 0 = off it.

    Source: ours.
    """
    height, width = pixels.shape[:2]
    lab = np.asarray(cv2.cvtColor(cv2.GaussianBlur(pixels, (0, 0), 1.0), cv2.COLOR_RGB2LAB), np.uint8)
    like = np.zeros((height + 2, width + 2), np.uint8)
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | 1 << 8
    for x, y in clicks[labels == 1]:
        seed = int(np.clip(x, 0, width - 1)), int(np.clip(y, 0, height - 1))
        cv2.floodFill(lab, like, seed, (0, 0, 0), (_LIKE,) * 3, (_LIKE,) * 3, flags)
    alike = like[1:-1, 1:-1] == 1
    beyond = cv2.distanceTransform(np.where(alike, np.uint8(0), np.uint8(1)), cv2.DIST_L2, 3)
    far = beyond > max(_LEAST_NEAR, _NEAR * max(height, width))
    trimap = np.select([alike, far], [np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_BGD)], np.uint8(cv2.GC_PR_BGD))
    trimap[[0, -1]] = trimap[:, [0, -1]] = cv2.GC_BGD
    add_seeds(trimap, clicks, labels)
    return trimap


def add_seeds(trimap: NDArray[np.uint8], clicks: NDArray[np.float64], labels: NDArray[np.int64]) -> None:
    """Mark, in place, what is sure around clicks (K, 2) x y with labels (K,); those off the object win."""
    y, x = np.mgrid[: trimap.shape[0], : trimap.shape[1]] + 0.5
    for wanted, mark in ((1, cv2.GC_FGD), (0, cv2.GC_BGD)):
        for at in clicks[labels == wanted]:
            trimap[(x - at[0]) ** 2 + (y - at[1]) ** 2 <= _SEED**2] = mark


def clicked_parts(mask: NDArray[np.bool_], clicks: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The connected parts of a mask (H, W) within the reach of the clicks on the object."""
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    sure = np.zeros(mask.shape, np.uint8)
    add_seeds(sure, clicks, np.where(labels == 1, 1, -1))
    kept = np.zeros(count, bool)
    kept[np.unique(parts[sure == cv2.GC_FGD])] = True
    kept[0] = False
    return np.asarray(kept[parts])
