"""Pictures of objects under review: crops of their tiles, bounded in size, with the last tiles kept in memory."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsseg.datasets.labels import Instance, LabelledTile
from rsseg.errors import DataError
from rsseg.io.rgb import convert_to_rgb
from rsseg.reports.labels.cards import crop_of, flags_of, lines_of, view_of
from rsseg.structures.masks import MaskCrop, crop_mask, fill_polygon

__all__ = ["SIDE", "Crops", "Drawing", "draw", "mask_of_rings"]

SIDE = 512
"""Pixels of the longer side of a picture."""
_MARGIN, _QUALITY = 1.4, 82
_TILE_PIXELS, _PICTURES = 64_000_000, 512


@dataclass(frozen=True)
class Drawing:
    """What is drawn over the picture of an object.

    Attributes:
        window: x1 y1 x2 y2 of the tile that the picture shows.
        size: (H, W) of the picture.
        outline: Outline of the mask as an SVG path in pixels of the picture.
        boxes: Prompt box and rotated box as an SVG path.
        flags: What may be suspicious, keys of :data:`rsseg.reports.labels.cards.FLAGS`.
    """

    window: tuple[int, int, int, int]
    size: tuple[int, int]
    outline: str
    boxes: str
    flags: tuple[str, ...]


def draw(tile: LabelledTile, instance: Instance, context: int) -> Drawing:
    """What is drawn over the picture of an object with some context."""
    window = view_of(instance, tile.size, _MARGIN * context)
    size, outline, boxes = lines_of(instance, window, SIDE)
    return Drawing(window, size, outline, boxes, flags_of(instance))


class Crops:
    """Pictures of objects; safe among threads.

    At least one tile is kept in memory, and more while they have 64 million pixels together.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tiles: OrderedDict[Path, NDArray[np.uint8]] = OrderedDict()
        self._pictures: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()

    def picture(self, tile: LabelledTile, window: tuple[int, int, int, int], key: tuple[Any, ...]) -> bytes:
        """WebP of a part of a tile.

        Args:
            tile: The tile.
            window: x1 y1 x2 y2 in its pixels.
            key: Under which it is kept: the set, the object, its state and the context.

        Raises:
            DataError: The tile's image is not there, or has another size than its labels.
        """
        with self._lock:
            if key in self._pictures:
                self._pictures.move_to_end(key)
                return self._pictures[key]
        buffer = io.BytesIO()
        Image.fromarray(crop_of(self._image(tile), window, SIDE)).save(buffer, "WEBP", quality=_QUALITY, method=2)
        with self._lock:
            self._pictures[key] = buffer.getvalue()
            while len(self._pictures) > _PICTURES:
                self._pictures.popitem(last=False)
        return buffer.getvalue()

    def _image(self, tile: LabelledTile) -> NDArray[np.uint8]:
        if tile.image is None:
            raise DataError(f"the image of tile {tile.name} is not where the set says; put it back")
        with self._lock:
            if tile.image in self._tiles:
                self._tiles.move_to_end(tile.image)
                return self._tiles[tile.image]
        image = convert_to_rgb(tile.image)
        if image.shape[:2] != tile.size:
            raise DataError(
                f"the image of tile {tile.name} has {image.shape[:2]} pixels (H, W), but its labels have {tile.size}"
            )
        with self._lock:
            self._tiles[tile.image] = image
            while len(self._tiles) > 1 and sum(own.size // 3 for own in self._tiles.values()) > _TILE_PIXELS:
                self._tiles.popitem(last=False)
        return image


def mask_of_rings(rings: list[list[tuple[float, float]]], size: tuple[int, int]) -> MaskCrop:
    """Mask of the pixels whose centre lies within an odd number of rings, each a list of x y in pixels.

    Args:
        rings: Outlines and holes.
        size: (H, W) of the tile.
    """
    found = MaskCrop(0, 0, np.zeros((0, 0), bool))
    for ring in rings:
        found = _either(found, fill_polygon(ring, size))
    return found


def _either(a: MaskCrop, b: MaskCrop) -> MaskCrop:
    """Pixels of one of two masks, but not of both."""
    if not (a.area and b.area):
        return a if a.area else b
    boxes = np.array([a.bbox, b.bbox])
    x, y = boxes[:, :2].min(0).tolist()
    width, height = (boxes[:, 2:].max(0) - (x, y)).tolist()
    own = [MaskCrop(mask.x - x, mask.y - y, mask.pixels).full((height, width)) for mask in (a, b)]
    return crop_mask(own[0] ^ own[1], x, y)
