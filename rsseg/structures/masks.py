"""Instance masks as small crops, their COCO run lengths, and filled shapes.

A mask is kept as the rectangle of pixels that it touches and that rectangle's place in the image, so that work
on it costs what the object costs and not what the image costs.

Pixel convention: pixel (row r, column c) covers [c, c + 1) x [r, r + 1); a shape owns the pixels whose centre
(c + 0.5, r + 0.5) lies inside it, left and top edges included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "MaskCrop",
    "crop_mask",
    "cut_mask",
    "empty_mask",
    "fill_hbox",
    "fill_polygon",
    "paint_mask",
    "rle_counts",
    "rle_from_counts",
    "rle_intersection",
    "rle_to_mask",
    "to_rle",
]

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class MaskCrop:
    """A mask in an image: ``pixels`` (h, w) bool whose top-left pixel is column ``x``, row ``y`` of the image."""

    x: int
    y: int
    pixels: Bools

    @property
    def area(self) -> int:
        """Number of set pixels."""
        return int(np.count_nonzero(self.pixels))

    @property
    def bbox(self) -> tuple[int, int, int, int]:
        """Tight x1 y1 x2 y2 in image pixels, right and bottom exclusive; all zero for an empty mask."""
        rows, cols = np.flatnonzero(self.pixels.any(1)), np.flatnonzero(self.pixels.any(0))
        if not len(rows):
            return 0, 0, 0, 0
        return self.x + int(cols[0]), self.y + int(rows[0]), self.x + int(cols[-1]) + 1, self.y + int(rows[-1]) + 1

    def full(self, size: tuple[int, int]) -> Bools:
        """The mask on a whole canvas: (H, W) bool for ``size`` (H, W)."""
        out = np.zeros(size, bool)
        paint_mask(out, self, True)
        return out


def empty_mask() -> MaskCrop:
    """A mask without pixels."""
    return MaskCrop(0, 0, np.zeros((0, 0), bool))


def crop_mask(mask: Bools, x: int = 0, y: int = 0) -> MaskCrop:
    """The tight crop of a mask.

    Args:
        mask: (h, w) bool.
        x: Image column of the mask's first column.
        y: Image row of its first row.
    """
    x1, y1, x2, y2 = MaskCrop(0, 0, mask).bbox
    if x2 <= x1:
        return empty_mask()
    return MaskCrop(x + x1, y + y1, np.ascontiguousarray(mask[y1:y2, x1:x2]))


def cut_mask(mask: MaskCrop, window: ArrayLike) -> MaskCrop:
    """The part of a mask inside a window (4,) x1 y1 x2 y2, in the window's own frame, cropped tight."""
    x1, y1, x2, y2 = (int(v) for v in np.asarray(window))
    left, top = max(x1 - mask.x, 0), max(y1 - mask.y, 0)
    part = mask.pixels[top : max(y2 - mask.y, 0), left : max(x2 - mask.x, 0)]
    return crop_mask(part, mask.x + left - x1, mask.y + top - y1)


def paint_mask(canvas: NDArray[Any], mask: MaskCrop, value: int | bool) -> None:
    """Set ``value`` on the canvas (H, W) wherever the mask is set, in place; parts off the canvas are dropped."""
    height, width = canvas.shape[:2]
    inside = cut_mask(mask, (0, 0, width, height))
    h, w = inside.pixels.shape
    canvas[inside.y : inside.y + h, inside.x : inside.x + w][inside.pixels] = value


def fill_hbox(hbox: ArrayLike, size: tuple[int, int]) -> MaskCrop:
    """Mask of the pixels whose centre lies in a horizontal box (4,), within an image of ``size`` (H, W)."""
    x1, y1, x2, y2 = np.ceil(np.asarray(hbox, np.float64) - 0.5)
    left, right = int(np.clip(x1, 0, size[1])), int(np.clip(x2, 0, size[1]))
    top, bottom = int(np.clip(y1, 0, size[0])), int(np.clip(y2, 0, size[0]))
    if right <= left or bottom <= top:
        return empty_mask()
    return MaskCrop(left, top, np.ones((bottom - top, right - left), bool))


def fill_polygon(polygon: ArrayLike, size: tuple[int, int]) -> MaskCrop:
    """Mask of the pixels whose centre lies in a polygon, by the even-odd rule.

    Args:
        polygon: (V, 2) corners x y in image pixels; a qbox is one.
        size: (H, W) of the image; parts outside are dropped.
    """
    points = np.asarray(polygon, np.float64)
    height, width = size
    left, top = (max(int(v), 0) for v in np.floor(points.min(axis=0)))
    right, bottom = int(min(np.ceil(points[:, 0].max()), width)), int(min(np.ceil(points[:, 1].max()), height))
    if right <= left or bottom <= top:
        return empty_mask()
    rows = np.arange(top, bottom) + 0.5
    flips = np.zeros((bottom - top, right - left + 1), bool)
    for (xa, ya), (xb, yb) in zip(points, np.roll(points, -1, axis=0), strict=True):
        crossed = np.flatnonzero((rows >= min(ya, yb)) & (rows < max(ya, yb)))
        at = xa + (rows[crossed] - ya) * ((xb - xa) / (yb - ya)) if len(crossed) else rows[crossed]
        first = np.clip(np.ceil(at - 0.5) - left, 0, right - left).astype(np.int64)
        flips[crossed, first] ^= True
    return crop_mask(np.logical_xor.accumulate(flips, axis=1)[:, :-1], left, top)


def rle_counts(mask: MaskCrop, size: tuple[int, int]) -> NDArray[np.int64]:
    """COCO run lengths of a mask on its canvas, found inside the crop alone.

    Args:
        mask: The mask; it must lie on the canvas.
        size: (H, W) of the canvas.

    Returns:
        (R,) int64: lengths of runs down the columns, zeros and ones in turn, beginning with zeros.

    Raises:
        ValueError: The mask leaves the canvas.

    Source: COCO API, rleEncode (column-major run lengths).
    """
    height, width = size
    h, w = mask.pixels.shape
    if mask.x < 0 or mask.y < 0 or mask.x + w > width or mask.y + h > height:
        raise ValueError(f"mask at x={mask.x} y={mask.y} of size {(h, w)} leaves the canvas {size}")
    columns = np.zeros((w, h + 2), np.int8)
    columns[:, 1:-1] = mask.pixels.T
    col, row = np.nonzero(np.diff(columns, axis=1))
    edges = (mask.x + col) * height + mask.y + row
    # A run that ends with its column and goes on in the next has its end and the next start at one place.
    joined = edges[1:-1:2] == edges[2::2]
    keep = np.ones(len(edges), bool)
    keep[1:-1:2] = keep[2::2] = ~joined
    edges = edges[keep].astype(np.int64)
    counts = np.diff(edges, prepend=0, append=height * width)
    return counts[:-1] if len(counts) > 1 and counts[-1] == 0 else counts


def rle_from_counts(counts: ArrayLike, size: tuple[int, int]) -> dict[str, Any]:
    """COCO's compressed form of run lengths: ``{"size": [H, W], "counts": str}``."""
    from pycocotools import mask as coco

    height, width = size
    rle = coco.frPyObjects({"size": [height, width], "counts": np.asarray(counts).tolist()}, height, width)
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


def to_rle(mask: MaskCrop, size: tuple[int, int]) -> dict[str, Any]:
    """COCO's compressed RLE of a mask on a canvas of ``size`` (H, W), equal to ``pycocotools.mask.encode``'s."""
    return rle_from_counts(rle_counts(mask, size), size)


def rle_to_mask(rle: dict[str, Any] | Sequence[Sequence[float]], size: tuple[int, int]) -> MaskCrop:
    """A mask from what COCO files hold.

    Args:
        rle: Compressed or uncompressed RLE, or a list of polygons (flat x y lists, rasterised by pycocotools).
        size: (H, W) of the image.
    """
    from pycocotools import mask as coco

    if isinstance(rle, dict) and not isinstance(rle["counts"], list):
        return crop_mask(coco.decode(rle).astype(bool))
    parts = coco.frPyObjects(rle, *size)
    return crop_mask(coco.decode(coco.merge(parts) if isinstance(parts, list) else parts).astype(bool))


def rle_intersection(a: dict[str, Any], b: dict[str, Any]) -> int:
    """Pixels that two compressed RLEs on the same canvas share."""
    from pycocotools import mask as coco

    return int(coco.area(coco.merge([a, b], intersect=True)))
