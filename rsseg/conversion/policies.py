"""What may be done to masks after the model, as pure functions; all of it departs from the SAMRS release.

Scores are the model's own, of the mask as it came out; a mask that is cut afterwards keeps them.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsseg.errors import ConfigError
from rsseg.structures.masks import MaskCrop, crop_mask, fill_polygon

__all__ = ["ORDERS", "below_threshold", "clip_mask", "enlarge_qbox", "largest_component", "paint_order"]

ORDERS = ("file", "large_first", "score")
"""Orders in which masks can be painted, see :func:`paint_order`."""


def below_threshold(scores: ArrayLike, threshold: float | None) -> NDArray[np.bool_]:
    """Which scores (N,) are known and below ``threshold``; (N,) bool, all false where ``threshold`` is ``None``.

    NaN is no score and never below.
    """
    values = np.asarray(scores, np.float64)
    return np.zeros(len(values), bool) if threshold is None else values < threshold


def largest_component(mask: MaskCrop) -> MaskCrop:
    """The largest part of a mask whose pixels touch, by side or corner; of equals the first from the top."""
    if not mask.area:
        return mask
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.pixels.astype(np.uint8), connectivity=8)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return crop_mask(parts == largest, mask.x, mask.y)


def enlarge_qbox(qbox: ArrayLike, margin: float) -> NDArray[np.float64]:
    """Corners (..., 4, 2) moved away from their centre, so that both sides grow by the share ``margin``."""
    corners = np.asarray(qbox, np.float64)
    centre = corners.mean(axis=-2, keepdims=True)
    return centre + (corners - centre) * (1 + margin)


def clip_mask(mask: MaskCrop, qbox: ArrayLike) -> MaskCrop:
    """The part of a mask inside a box: pixels whose centre lies within the corners (4, 2), in image pixels."""
    height, width = mask.pixels.shape
    if not mask.area:
        return mask
    corner = np.array([mask.x, mask.y], np.float64)
    inside = fill_polygon(np.asarray(qbox, np.float64) - corner, (height, width)).full((height, width))
    return crop_mask(mask.pixels & inside, mask.x, mask.y)


def paint_order(order: str, areas: ArrayLike, predicted_iou: ArrayLike) -> NDArray[np.int64]:
    """In which order N masks are painted, the last one on top; (N,) int64 rows.

    Args:
        order: ``file`` keeps the order of the label file, as the SAMRS release does; ``large_first`` paints large
            masks before small ones, so that small objects stay visible; ``score`` paints by rising predicted IoU,
            masks without one first.  Equals stay in file order.
        areas: (N,) pixels of each mask.
        predicted_iou: (N,) the model's estimates, NaN where there is none.

    Raises:
        ConfigError: There is no such order.

    Source: SAMRS release, main_sam_hbox_semantic.py, for ``file``; ours for the others.
    """
    if order not in ORDERS:
        raise ConfigError(f"order must be one of {', '.join(ORDERS)}, not {order!r}")
    sizes = np.asarray(areas, np.int64)
    if order == "file":
        return np.arange(len(sizes))
    scores = np.asarray(predicted_iou, np.float64)
    keys = -sizes if order == "large_first" else np.where(np.isnan(scores), -np.inf, scores)
    return np.argsort(keys, kind="stable")
