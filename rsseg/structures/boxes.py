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
    "is_crossed",
    "qbox_area",
    "qbox_to_hbox",
    "qbox_to_rbox",
    "rbox_to_qbox",
    "untangle_qbox",
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
    """Unsigned area (...) in square pixels of corners (..., 4, 2); of a box that crosses itself, of both its parts."""
    corners = np.asarray(qbox, dtype=np.float64)
    area, crossed = np.abs(ring_area(corners)), is_crossed(corners)
    if not crossed.any():
        return area
    import shapely

    area = np.array(area)
    area[crossed] = shapely.area(shapely.make_valid(shapely.polygons(corners[crossed])))
    return area


def is_crossed(qbox: ArrayLike) -> NDArray[np.bool_]:
    """Which corners (..., 4, 2) are not in order around the box, so that two of its sides cross; (...) bool."""
    first, second = _crossings(np.asarray(qbox, dtype=np.float64))
    return first | second


def untangle_qbox(qbox: ArrayLike) -> Floats:
    """Corners (..., 4, 2) in order around the box: of one that crosses itself two are exchanged, others stay.

    Two sides that cross are the diagonals of the box that their ends span.
    """
    corners = np.asarray(qbox, dtype=np.float64)
    first, second = (crossed[..., None, None] for crossed in _crossings(corners))
    return np.where(first, corners[..., [0, 2, 1, 3], :], np.where(second, corners[..., [0, 1, 3, 2], :], corners))


def _crossings(corners: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether sides 0-1 and 2-3 cross in a point of both, and whether 1-2 and 3-0 do."""
    with np.errstate(over="ignore", invalid="ignore"):
        points = np.moveaxis(corners - corners[..., :1, :], -2, 0)

        def side(a: int, b: int, c: int) -> Floats:
            run, to = points[b] - points[a], points[c] - points[a]
            return np.sign(run[..., 0] * to[..., 1] - run[..., 1] * to[..., 0])

        def cross(a: int, b: int, c: int, d: int) -> NDArray[np.bool_]:
            apart = side(a, b, c) * side(a, b, d) < 0
            return np.asarray(apart & (side(c, d, a) * side(c, d, b) < 0))

        return cross(0, 1, 2, 3), cross(1, 2, 3, 0)


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
