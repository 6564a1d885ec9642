"""Instance masks as small crops, their COCO run lengths, and filled shapes.

A mask is kept as the rectangle of pixels that it touches and that rectangle's place in the image, so that work
on it costs what the object costs and not what the image costs.

Pixel convention: pixel (row r, column c) covers [c, c + 1) x [r, r + 1); a shape owns the pixels whose centre
(c + 0.5, r + 0.5) lies inside it, left and top edges included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsseg.structures.runs import rle_to_runs, runs_bbox
from rsseg.structures.validity import MendedPolygon, mend_polygons, with_lost_ground

__all__ = [
    "MaskCrop",
    "check_polygons",
    "crop_mask",
    "cut_mask",
    "empty_mask",
    "fill_hbox",
    "fill_polygon",
    "mask_from_coco",
    "mask_intersection",
    "paint_mask",
    "rle_counts",
    "rle_from_counts",
    "rle_to_crop",
    "to_rle",
]

Bools = NDArray[np.bool_]
_FARTHEST = 1e5
"""Pixels from the image's corner where a polygon's point is taken for a mistake; drawing it would cost much memory."""


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
        raise ValueError(f"mask at x={mask.x} y={mask.y} of size {(h, w)} exceeds the canvas {size}")
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


def rle_to_crop(rle: dict[str, Any]) -> MaskCrop:
    """The mask of a compressed COCO RLE as a tight crop; only the crop is ever unpacked.

    Raises:
        ValueError: The text is damaged or does not fill the canvas.
    """
    first, after = rle_to_runs(rle)
    height = rle["size"][0]
    left, top, right, bottom = runs_bbox(first, after, height)
    if right == left:
        return empty_mask()
    h = bottom - top
    steps = np.zeros((right - left) * h + 1, np.int8)
    steps[(first // height - left) * h + first % height - top] += 1
    steps[((after - 1) // height - left) * h + (after - 1) % height - top + 1] -= 1
    pixels = np.cumsum(steps[:-1], dtype=np.int8).reshape(right - left, h).T
    return MaskCrop(left, top, np.ascontiguousarray(pixels, bool))


def mask_from_coco(shape: Any, size: tuple[int, int]) -> MaskCrop:
    """A mask from what ``segmentation`` may be in COCO files.

    Args:
        shape: Compressed or uncompressed RLE, or a list of polygons (flat x y lists, rasterised by pycocotools; ground
            that one runs around twice is inside).
        size: (H, W) of the image.

    Raises:
        ValueError: It is something else, damaged, or of another size; the message begins with a verb.
    """
    from pycocotools import mask as coco

    if isinstance(shape, dict):
        counts = shape.get("counts")
        if list(shape.get("size", size)) != list(size) or not isinstance(counts, list | str):
            raise ValueError(f"must be an RLE of the image's size (H, W), {list(size)}")
        if isinstance(counts, str):
            return rle_to_crop({"size": list(size), "counts": counts})
        if any(type(n) is not int or n < 0 for n in counts) or sum(counts) != size[0] * size[1]:
            raise ValueError(f"must have counts that add up to the image's {size[0] * size[1]} pixels")
        return rle_to_crop(rle_from_counts(counts, size))
    parts = [part for part in check_polygons(shape) if len(part) >= 6]  # what has fewer points encloses nothing
    if not parts:
        return empty_mask()
    mask = coco.decode(coco.merge(coco.frPyObjects(parts, *size))).astype(bool)
    mended = mend_polygons(parts)
    return crop_mask(with_lost_ground(mask, _draw_mended(mended, size)) if mended else mask)


def _draw_mended(polygons: list[MendedPolygon], size: tuple[int, int]) -> Bools:
    from pycocotools import mask as coco

    out = np.zeros(size, bool)
    for polygon in polygons:
        planes = coco.decode(coco.frPyObjects([polygon.ring, *polygon.holes], *size)).astype(bool)
        out |= planes[..., 0] & ~planes[..., 1:].any(axis=-1)
    return out


def check_polygons(shape: Any) -> list[list[float]]:
    """The polygons of a COCO ``segmentation``, each x1 y1 x2 y2 ... in pixels.

    Raises:
        ValueError: It is no list of polygons, or one has a point far from any image.
    """
    if isinstance(shape, list) and all(isinstance(part, list) for part in shape):
        numbers = [value for part in shape for value in part]
        known = all(type(value) in (int, float) and abs(value) < _FARTHEST for value in numbers)
        if known and not any(len(part) % 2 for part in shape):
            return [[float(value) for value in part] for part in shape]
    raise ValueError("must be an RLE, or a list of polygons [x1, y1, x2, y2, ...] in or near the image")


def mask_intersection(a: MaskCrop, b: MaskCrop) -> int:
    """Pixels that two masks of the same image share, found in the rectangle of the second."""
    height, width = b.pixels.shape
    inside = cut_mask(a, (b.x, b.y, b.x + width, b.y + height))
    h, w = inside.pixels.shape
    part = b.pixels[inside.y : inside.y + h, inside.x : inside.x + w]
    return int(np.count_nonzero(part & inside.pixels))
