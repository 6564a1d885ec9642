"""Boxes: horizontal, quadrilateral and rotated, as pure functions on arrays.

======  ==============  =========================================================================
name    last axes       meaning (pixels; y points down; pixel (0, 0) covers [0, 1) x [0, 1))
======  ==============  =========================================================================
hbox    (4,)            x1 y1 x2 y2, horizontal
qbox    (4, 2)          four corners x y, in order around the box
rbox    (5,)            cx cy w h angle; angle in radians from +x to the w side, towards +y
======  ==============  =========================================================================

Every function takes any number of leading axes and returns float64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsseg.structures.rings import ring_area

Floats = NDArray[np.float64]

__all__ = [
    "clip_hbox",
    "hbox_area",
    "hbox_iof",
    "hbox_iou",
    "hbox_to_qbox",
    "qbox_area",
    "qbox_to_hbox",
    "qbox_to_rbox",
    "rbox_to_qbox",
]

_CORNERS = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])


def hbox_to_qbox(hbox: ArrayLike) -> Floats:
    """Corners (..., 4, 2) of horizontal boxes (..., 4): top-left, top-right, bottom-right, bottom-left."""
    box = np.asarray(hbox, dtype=np.float64)
    return box[..., [0, 1, 2, 1, 2, 3, 0, 3]].reshape(*box.shape[:-1], 4, 2)


def qbox_to_hbox(qbox: ArrayLike) -> Floats:
    """Horizontal hull (..., 4) of corners (..., 4, 2): the SAMRS paper's RH-Box (section 2.3)."""
    corners = np.asarray(qbox, dtype=np.float64)
    return np.concatenate([corners.min(axis=-2), corners.max(axis=-2)], axis=-1)


def rbox_to_qbox(rbox: ArrayLike) -> Floats:
    """Corners (..., 4, 2) of rotated boxes (..., 5).

    At angle 0 the order is top-left, top-right, bottom-right, bottom-left.
    """
    box = np.asarray(rbox, dtype=np.float64)
    cos, sin = np.cos(box[..., 4]), np.sin(box[..., 4])
    local = _CORNERS * box[..., None, 2:4]
    x = local[..., 0] * cos[..., None] - local[..., 1] * sin[..., None]
    y = local[..., 0] * sin[..., None] + local[..., 1] * cos[..., None]
    return np.stack([x, y], axis=-1) + box[..., None, :2]


def qbox_to_rbox(qbox: ArrayLike) -> Floats:
    """Rotated boxes (..., 5) of rectangular corners (..., 4, 2).

    The w side is the mean of sides 0-1 and 3-2, the h side the mean of sides 1-2 and 0-3; a quadrilateral that is
    no rectangle gives the rectangle of its mean sides.  The angle lies in [-pi/2, pi/2).
    """
    corners = np.asarray(qbox, dtype=np.float64)
    across = corners[..., [1, 2], :].mean(axis=-2) - corners[..., [0, 3], :].mean(axis=-2)
    down = corners[..., [2, 3], :].mean(axis=-2) - corners[..., [0, 1], :].mean(axis=-2)
    angle = np.arctan2(across[..., 1], across[..., 0])
    angle = (angle + np.pi / 2) % np.pi - np.pi / 2
    centre = corners.mean(axis=-2)
    sides = np.stack([np.linalg.norm(across, axis=-1), np.linalg.norm(down, axis=-1), angle], axis=-1)
    return np.concatenate([centre, sides], axis=-1)


def clip_hbox(hbox: ArrayLike, size: tuple[int, int]) -> Floats:
    """Horizontal boxes (..., 4) cut to an image of ``size`` (H, W); one wholly outside ends with zero area."""
    height, width = size
    return np.clip(np.asarray(hbox, dtype=np.float64), 0, [width, height, width, height])


def hbox_area(hbox: ArrayLike) -> Floats:
    """Area (...) in square pixels of horizontal boxes (..., 4); an inverted box has area 0."""
    box = np.asarray(hbox, dtype=np.float64)
    return np.clip(box[..., 2] - box[..., 0], 0, None) * np.clip(box[..., 3] - box[..., 1], 0, None)


def qbox_area(qbox: ArrayLike) -> Floats:
    """Unsigned area (...) in square pixels of corners (..., 4, 2)."""
    return np.abs(ring_area(qbox))


def _intersection(a: Floats, b: Floats) -> Floats:
    return hbox_area(np.concatenate([np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])], axis=-1))


def hbox_iof(hbox: ArrayLike, window: ArrayLike) -> Floats:
    """Share (N, M) of each horizontal box (N, 4) that lies in each window (M, 4); a box without area gives 0."""
    boxes, windows = (np.asarray(v, dtype=np.float64).reshape(-1, 4) for v in (hbox, window))
    inside = _intersection(boxes[:, None], windows[None])
    area = hbox_area(boxes)[:, None]
    return np.divide(inside, area, out=np.zeros_like(inside), where=area > 0)


def hbox_iou(a: ArrayLike, b: ArrayLike) -> Floats:
    """Intersection over union (N, M) of horizontal boxes (N, 4) and (M, 4); two boxes without area give 0."""
    left, right = (np.asarray(v, dtype=np.float64).reshape(-1, 4) for v in (a, b))
    inside = _intersection(left[:, None], right[None])
    union = hbox_area(left)[:, None] + hbox_area(right)[None] - inside
    return np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)
