"""Square surroundings of boxes: cut out of an image at a fixed size, and masks put back.

A frame is a square of whole image pixels, x y side; what it shows is resampled to S x S crop pixels.  The point u, v of
a crop, counted from its upper left corner, lies at image x + u * side / S, y + v * side / S.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsseg.structures.masks import MaskCrop, crop_mask, empty_mask, fill_hbox

__all__ = ["FILL", "box_frames", "cut_frame", "paste_logits", "to_frame"]

FILL = 127
"""Value of pixels beyond the border of the image."""
_LARGEST = 8192
"""Side in pixels above which a frame is never laid out at full size."""


def box_frames(hbox: NDArray[np.float64], context: float, least: int) -> NDArray[np.int64]:
    """Frames around boxes.

    Args:
        hbox: (N, 4) float64 x1 y1 x2 y2 in image pixels.
        context: Side of the frame as a multiple of the box's longer side.
        least: Least side in pixels.

    Returns:
        (N, 3) int64 x y side.
    """
    sides = np.maximum(np.ceil(context * (hbox[:, 2:] - hbox[:, :2]).max(axis=1)), least)
    centres = (hbox[:, :2] + hbox[:, 2:]) / 2
    corners = np.rint(centres - sides[:, None] / 2)
    return np.concatenate([corners, sides[:, None]], axis=1).astype(np.int64)


def cut_frame(image: NDArray[np.uint8], frame: ArrayLike, size: int, fill: int = FILL) -> NDArray[np.uint8]:
    """What a frame shows, averaged over areas where it is shrunk and bilinear where it is enlarged.

    Args:
        image: (H, W) or (H, W, C) uint8.
        frame: (3,) x y side.
        size: S.
        fill: Value beyond the border.

    Returns:
        (S, S) or (S, S, C) uint8.
    """
    x, y, side = (int(v) for v in np.asarray(frame))
    height, width = image.shape[:2]
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + side, width), min(y + side, height)
    if right <= left or bottom <= top:
        return np.full((size, size, *image.shape[2:]), fill, np.uint8)
    pixels = image[top:bottom, left:right]
    if side > _LARGEST and pixels.shape[:2] != (side, side):
        return _cut_large(pixels, (left - x, top - y, side), size, fill)
    if pixels.shape[:2] != (side, side):
        canvas = np.full((side, side, *image.shape[2:]), fill, np.uint8)
        canvas[top - y : bottom - y, left - x : right - x] = pixels
        pixels = canvas
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (size, size), interpolation=method), np.uint8)


def _cut_large(pixels: NDArray[np.uint8], place: tuple[int, int, int], size: int, fill: int) -> NDArray[np.uint8]:
    """A crop of a frame that is mostly outside the image, such as that of a mistyped corner: in little memory.

    Args:
        pixels: (h, w) or (h, w, C) uint8, what there is of the frame.
        place: Its x and y in the frame, and the frame's side.
        size: S.
        fill: Value of the rest.
    """
    x, y, side = place
    height, width = pixels.shape[:2]
    left, right = (round(v * size / side) for v in (x, x + width))
    top, bottom = (round(v * size / side) for v in (y, y + height))
    crop = np.full((size, size, *pixels.shape[2:]), fill, np.uint8)
    if right > left and bottom > top:
        crop[top:bottom, left:right] = cv2.resize(pixels, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    return crop


def to_frame(points: NDArray[np.float64], frames: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """Image points (N, K, 2) in the crop pixels of N frames (N, 3)."""
    return (points - frames[:, None, :2]) * (size / frames[:, None, 2:])


def paste_logits(
    logits: NDArray[np.float32], frame: ArrayLike, hbox: ArrayLike, size: tuple[int, int], threshold: float = 0.0
) -> MaskCrop:
    """The mask of a crop in its image, never outside the box.

    Args:
        logits: (S, S) float32, interpolated bilinearly at the centres of image pixels.
        frame: (3,) x y side.
        hbox: (4,) x1 y1 x2 y2 in image pixels.
        size: (H, W) of the image.
        threshold: Logits above it are the object.
    """
    inside = fill_hbox(hbox, size)
    height, width = inside.pixels.shape
    if not inside.area:
        return empty_mask()
    x, y, side = (int(v) for v in np.asarray(frame))
    step = logits.shape[0] / side
    start = (inside.x - x + 0.5) * step - 0.5, (inside.y - y + 0.5) * step - 0.5
    view = np.array([[step, 0, start[0]], [0, step, start[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    pixels = cv2.warpAffine(logits, view, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return crop_mask(pixels > threshold, inside.x, inside.y)
