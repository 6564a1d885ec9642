"""Cutting an image into overlapping windows, and objects into the windows that show enough of them.

Windows are int64 ``x1 y1 x2 y2`` in pixels, the last column and row exclusive: ``image[y1:y2, x1:x2]``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsseg.errors import ConfigError, DataError
from rsseg.structures.boxes import hbox_iof, is_crossed, qbox_area, qbox_to_hbox
from rsseg.structures.rings import ring_area

__all__ = ["assign_boxes", "cut_window", "qbox_iof", "tile_name", "tile_windows"]

_TOLERANCE = 1e-9
_MOST = 1 << 20
"""Windows that are listed at a time."""


def tile_windows(
    size: tuple[int, int], tile: int | tuple[int, int], overlap: int | tuple[int, int] = 0, pad: bool = False
) -> NDArray[np.int64]:
    """Windows that cover an image, by the rule of BboxToolkit.

    Along an axis of length L there is one window when L <= tile, else ceil((L - tile) / step) + 1 of them at
    multiples of step = tile - overlap, the last one shifted back to end at the border.  Windows are listed column
    by column (x-major), so a window's row number is BboxToolkit's patch index.

    Args:
        size: (H, W) of the image in pixels.
        tile: Side of a square window, or (height, width), in pixels.
        overlap: Pixels that neighbours share, one number or (vertical, horizontal); less than the tile.
        pad: Give windows their full size where the image is smaller (they then reach over its right and bottom
            border, as in BboxToolkit); otherwise such a window ends at the border.

    Returns:
        (N, 4) int64 x1 y1 x2 y2.

    Raises:
        ConfigError: A size is not positive, or the overlap is negative or not smaller than the tile.
        DataError: There would be millions of windows.

    Source: BboxToolkit, tools/img_split.py; confirmed by the tile counts of Potsdam (19 x 19 of 512 at 320).
    """
    tile_h, tile_w = (tile, tile) if isinstance(tile, int) else tile
    over_h, over_w = (overlap, overlap) if isinstance(overlap, int) else overlap
    if min(*size, tile_h, tile_w) <= 0:
        raise ConfigError(f"image size and tile must be positive, got {size} and {tile}")
    if not (0 <= over_h < tile_h and 0 <= over_w < tile_w):
        raise ConfigError(f"overlap {overlap} must be at least 0 and less than the tile {tile}")
    x = _starts(size[1], tile_w, tile_w - over_w)
    y = _starts(size[0], tile_h, tile_h - over_h)
    if len(x) * len(y) > _MOST:
        raise DataError(f"an image of {size} (H, W) pixels would have {len(x) * len(y)} tiles, more than {_MOST}")
    x1, y1 = np.repeat(x, len(y)), np.tile(y, len(x))
    windows = np.stack([x1, y1, x1 + tile_w, y1 + tile_h], axis=1)
    if not pad:
        windows = np.minimum(windows, np.array([size[1], size[0], size[1], size[0]]))
    return windows.astype(np.int64)


def tile_name(stem: str, window: ArrayLike) -> str:
    """What the tile of an image is called, without suffix: ``<stem>__<x>_<y>`` for a window (4,) x1 y1 x2 y2."""
    x, y = (int(value) for value in np.asarray(window)[:2])
    return f"{stem}__{x}_{y}"


def _starts(length: int, tile: int, step: int) -> NDArray[np.int64]:
    if length <= tile:
        return np.zeros(1, np.int64)
    count = -(-(length - tile) // step) + 1
    return np.minimum(np.arange(count, dtype=np.int64) * step, length - tile)


def cut_window(image: NDArray[np.generic], window: ArrayLike, fill: int | tuple[int, ...] = 0) -> NDArray[np.generic]:
    """The pixels of one window, as a view where it lies inside the image.

    Args:
        image: (H, W) or (H, W, C) array.
        window: (4,) x1 y1 x2 y2 with x1, y1 inside the image; may reach over the right and bottom border.
        fill: Value (per channel) of pixels beyond the border.

    Returns:
        (y2 - y1, x2 - x1[, C]) array of the image's dtype.
    """
    x1, y1, x2, y2 = (int(v) for v in np.asarray(window))
    part = image[y1:y2, x1:x2]
    if part.shape[:2] == (y2 - y1, x2 - x1):
        return part
    out = np.empty((y2 - y1, x2 - x1, *image.shape[2:]), image.dtype)
    out[...] = fill
    out[: part.shape[0], : part.shape[1]] = part
    return out


def assign_boxes(boxes: ArrayLike, windows: ArrayLike, iof_thr: float) -> NDArray[np.bool_]:
    """Which windows keep which objects: those that show at least ``iof_thr`` of the object's area.

    Args:
        boxes: (N, 4) horizontal boxes or (N, 4, 2) corners, in image pixels.
        windows: (M, 4) windows.
        iof_thr: Least share of the object's own area inside the window, in (0, 1].

    Returns:
        (N, M) bool.  A row without any True is an object that no window keeps.

    Raises:
        ConfigError: The threshold lies outside (0, 1].
    """
    if not 0 < iof_thr <= 1:
        raise ConfigError(f"iof_thr must be in (0, 1], got {iof_thr}")
    array = np.asarray(boxes, np.float64)
    iof = qbox_iof(array, windows) if array.ndim == 3 else hbox_iof(array, windows)
    return iof >= iof_thr - _TOLERANCE


def qbox_iof(qbox: ArrayLike, windows: ArrayLike) -> NDArray[np.float64]:
    """Share (N, M) of the area of each quadrilateral (N, 4, 2) inside each window (M, 4).

    The true polygon is cut, not its hull.  A quadrilateral without area gives 0; of one that crosses itself both parts
    count.
    """
    corners = np.asarray(qbox, np.float64).reshape(-1, 4, 2)
    frames = np.asarray(windows, np.float64).reshape(-1, 4)
    hull = qbox_to_hbox(corners)[:, None]
    frame = frames[None]
    area = qbox_area(corners)
    within = (hull[..., :2] >= frame[..., :2]).all(-1) & (hull[..., 2:] <= frame[..., 2:]).all(-1)
    touch = (hull[..., :2] < frame[..., 2:]).all(-1) & (hull[..., 2:] > frame[..., :2]).all(-1)
    out = np.where(within & (area > 0)[:, None], 1.0, 0.0)
    i, j = np.nonzero(touch & ~within & (area > 0)[:, None])
    out[i, j] = _clipped_area(corners[i], frames[j]) / area[i]
    crossed = is_crossed(corners[i])
    if crossed.any():
        i, j = i[crossed], j[crossed]
        out[i, j] = _crossed_area(corners[i], frames[j]) / area[i]
    return out


def _crossed_area(corners: NDArray[np.float64], frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area (K,) of quadrilaterals (K, 4, 2) that cross themselves, cut by frames (K, 4), pair by pair."""
    import shapely

    parts = shapely.make_valid(shapely.polygons(corners))
    return np.asarray(shapely.area(shapely.intersection(parts, shapely.box(*frames.T))))


def _clipped_area(corners: NDArray[np.float64], frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area (K,) of polygons (K, V, 2) cut by frames (K, 4), pair by pair.

    Points are inserted where an edge crosses a frame line, then everything beyond the line is moved onto it: the
    moved part runs along a line and so encloses nothing, which leaves the area of the cut polygon.
    """
    points = corners
    for axis in (0, 1):
        low, high = frames[:, None, axis], frames[:, None, axis + 2]
        points = _insert_crossings(points, axis, low, high)
        points[..., axis] = np.clip(points[..., axis], low, high)
    return np.abs(ring_area(points))


def _insert_crossings(
    points: NDArray[np.float64], axis: int, low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    step = np.roll(points, -1, axis=1) - points
    run = np.where(step[..., axis] == 0, 1.0, step[..., axis])
    at = np.stack([(line - points[..., axis]) / run for line in (low, high)], axis=-1)
    at = np.clip(np.where(step[..., axis, None] == 0, 0.0, at), 0, 1)
    at = np.concatenate([np.zeros_like(at[..., :1]), np.sort(at, axis=-1)], axis=-1)
    out = points[:, :, None] + at[..., None] * step[:, :, None]
    return out.reshape(len(points), 3 * points.shape[1], 2)
