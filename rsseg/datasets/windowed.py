"""Images and labels of which only the window is read that a crop takes.

A :class:`WindowedArray` stands in a sample where an array would: transforms that come before the crop (scale, padding)
only note what they would do, and slicing reads and computes what the slice holds.  The result equals that of the same
transforms on the whole image, bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rsseg.io.labels import checked_values, open_labels
from rsseg.io.rasters import Raster, read_stored
from rsseg.metainfo import IGNORE

__all__ = ["WindowedArray", "windowed_image", "windowed_labels"]

Read = Callable[[int, int, int, int], NDArray[Any]]
_MARGIN = 2
"""Pixels beyond a window that scaling looks at."""


class WindowedArray:
    """An array (H, W) or (H, W, C) whose slices are read when they are taken.

    Args:
        shape: Of the array.
        read: Gives rows y1 to before y2 and columns x1 to before x2, all within the array.
    """

    def __init__(self, shape: tuple[int, ...], read: Read) -> None:
        self.shape, self.ndim, self._read = shape, len(shape), read

    def __getitem__(self, key: Any) -> NDArray[Any]:
        keys = key if isinstance(key, tuple) else (key,)
        places = [one for one in keys if one is not Ellipsis]
        whole = [self.shape[axis] for axis in (0, 1)]
        spans = [one.indices(size) for one, size in zip(places, whole, strict=False) if isinstance(one, slice)]
        if len(places) != 2 or len(spans) != 2 or any(step != 1 for *_, step in spans) or keys[0] is Ellipsis:
            return np.asarray(np.asarray(self)[key])
        (y1, y2, _), (x1, x2, _) = spans
        return self._read(y1, max(y1, y2), x1, max(x1, x2))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self._read(0, self.shape[0], 0, self.shape[1]), dtype)

    def resized(self, size: tuple[int, int], interpolation: int) -> WindowedArray:
        """The array at another size (H, W), as :func:`cv2.resize` gives it."""
        sides = self.shape[:2]

        def read(y1: int, y2: int, x1: int, x2: int) -> NDArray[Any]:
            # cv2 computes places from both sizes, so the window lies where it is in an image that is zero elsewhere
            (a, b), (c, d) = (
                (max(low * old // new - _MARGIN, 0), min(-(-high * old // new) + _MARGIN, old))
                for low, high, old, new in ((y1, y2, sides[0], size[0]), (x1, x2, sides[1], size[1]))
            )
            part = self._read(a, b, c, d)
            canvas = np.zeros((*sides, *part.shape[2:]), part.dtype)
            canvas[a:b, c:d] = part
            whole = cv2.resize(canvas, size[::-1], interpolation=interpolation).reshape(*size, *part.shape[2:])
            return np.ascontiguousarray(whole[y1:y2, x1:x2])

        return WindowedArray((*size, *self.shape[2:]), read)

    def padded(self, canvas: tuple[int, int], top: int, left: int, value: int) -> WindowedArray:
        """The array on a canvas (H, W) of one value."""
        height, width = self.shape[:2]

        def read(y1: int, y2: int, x1: int, x2: int) -> NDArray[Any]:
            (a, b), (c, d) = (
                (min(max(low - first, 0), old), min(max(high - first, 0), old))
                for low, high, first, old in ((y1, y2, top, height), (x1, x2, left, width))
            )
            part = self._read(a, b, c, d)
            out = np.full((y2 - y1, x2 - x1, *part.shape[2:]), value, part.dtype)
            out[a + top - y1 : b + top - y1, c + left - x1 : d + left - x1] = part
            return out

        return WindowedArray((*canvas, *self.shape[2:]), read)


def windowed_image(raster: Raster) -> tuple[WindowedArray, Callable[..., NDArray[np.bool_] | None]] | None:
    """An image of a file that is stored in blocks, and which pixels of a window (y1, y2, x1, x2) are valid.

    None for all others, of which a part cannot be read without the whole.  The raster stays open for the array.
    """
    if not raster.in_blocks:
        return None
    last: dict[tuple[int, ...], tuple[Any, Any]] = {}  # labels ask for the validity of the window that is read

    def load(*window: int) -> tuple[Any, Any]:
        if window not in last:
            y1, y2, x1, x2 = window
            last.clear()
            pixels, valid = raster.read(x1, y1, x2, y2)
            pixels = np.ascontiguousarray(np.moveaxis(pixels, 0, -1))
            last[window] = pixels if pixels.dtype == np.uint8 else pixels.astype(np.float32, copy=False), valid
        return last[window]

    shape = (*raster.size, len(raster.bands))
    pixels = WindowedArray(shape, lambda *window: load(*window)[0])
    return pixels, lambda *window: None if raster.all_valid else load(*window)[1]


def windowed_labels(
    path: str, encode: Callable[[NDArray[Any]], NDArray[np.uint8]], valid: Callable[..., NDArray[np.bool_] | None]
) -> WindowedArray | None:
    """Training ids of a label file that is stored in blocks, 255 where the image is not valid; None for all others.

    Values are checked in what is read only.
    """
    from rasterio.windows import Window

    file = open_labels(path)
    if file is None:
        return None

    def read(y1: int, y2: int, x1: int, x2: int) -> NDArray[Any]:
        values = read_stored(file, 1, Window(x1, y1, x2 - x1, y2 - y1))
        ids, mask = encode(checked_values(values, path)), valid(y1, y2, x1, x2)
        return ids if mask is None else np.where(mask, ids, np.array(IGNORE, ids.dtype))

    return WindowedArray((file.height, file.width), read)
