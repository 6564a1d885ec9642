"""A chosen mask as something to show: a crop of its image, its outline and its box, and what is odd about it."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from rsseg.datasets.labels import Instance
from rsseg.datasets.labels.selection import WHOLE_BOX, Choice
from rsseg.datasets.labels.statistics import TINY
from rsseg.errors import DataError
from rsseg.io.progress import Progress
from rsseg.io.rgb import convert_to_rgb
from rsseg.reports.markup import data_uri
from rsseg.structures.boxes import hbox_to_qbox, rbox_to_qbox
from rsseg.structures.masks import cut_mask, rle_to_crop

__all__ = ["FLAGS", "Card", "crop_of", "flags_of", "lines_of", "make_cards", "outline", "view_of"]

FLAGS = {
    "empty": "empty mask",
    "tiny": f"below {TINY} px",
    "border": "touches the border",
    "spills": "larger than its box",
    "sparse": "covers little of its box",
    "box": "equals its whole box",
}
"""Key -> text of what may be suspicious about a mask."""
_SPILLS, _SPARSE = 1.05, 0.1
_SIDE, _LEAST, _MARGIN = 192, 40, 1.4
_QUALITY = 76

_log = logging.getLogger("rsseg")


@dataclass(frozen=True)
class Card:
    """A mask with its picture; coordinates are pixels of the picture.

    Attributes:
        choice: The mask.
        flags: Keys of ``FLAGS``.
        size: (H, W) of the picture.
        picture: The crop as the ``data:`` address of a WebP image; ``None`` where the image cannot be read.
        outline: The mask's outline as an SVG path; empty for an empty mask.
        boxes: Prompt box and rotated box as an SVG path.
    """

    choice: Choice
    flags: tuple[str, ...]
    size: tuple[int, int]
    picture: str | None
    outline: str
    boxes: str


def flags_of(instance: Instance) -> tuple[str, ...]:
    """Keys of ``FLAGS`` that hold for a mask."""
    if not instance.area:
        return ("empty",)
    fill = instance.mask_to_box
    held = {
        "tiny": instance.area < TINY,
        "border": instance.touches_border,
        "spills": fill is not None and fill > _SPILLS,
        "sparse": fill is not None and fill < _SPARSE,
        "box": fill is not None and WHOLE_BOX <= fill <= 1,
    }
    return tuple(name for name, holds in held.items() if holds)


def view_of(instance: Instance, size: tuple[int, int], margin: float = _MARGIN) -> tuple[int, int, int, int]:
    """The part x1 y1 x2 y2 of a tile to show: a square around mask and box, moved or cut to lie inside the tile.

    Args:
        instance: The mask.
        size: (H, W) of the tile.
        margin: Side of the square by that of mask and box.
    """
    boxes = [np.asarray(instance.bbox, np.float64)] if instance.area else []
    boxes += [] if instance.prompt_box is None else [np.asarray(instance.prompt_box, np.float64)]
    if not boxes:
        return 0, 0, size[1], size[0]
    limits = np.array([size[1], size[0]])
    low = np.clip(np.min([box[:2] for box in boxes], axis=0), 0, limits)
    high = np.clip(np.max([box[2:] for box in boxes], axis=0), 0, limits)
    side = max(_LEAST, math.ceil((high - low).max() * margin))
    sides = np.minimum(side, limits)
    start = np.clip(np.round((low + high - sides) / 2), 0, limits - sides).astype(int)
    x, y = (int(value) for value in start)
    return x, y, x + int(sides[0]), y + int(sides[1])


def outline(mask: NDArray[np.bool_]) -> str:
    """SVG path along the outermost set pixels of a mask (H, W) bool, holes included; to be filled by even and odd."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return "".join(_path(cv2.approxPolyDP(contour, 0.6, True)[:, 0]) for contour in found)


def _path(points: ArrayLike) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in np.round(np.asarray(points, np.float64), 1)) + "Z"


def _boxes(instance: Instance, origin: NDArray[np.float64], scale: float) -> str:
    corners = [] if instance.prompt_box is None else [hbox_to_qbox(np.array(instance.prompt_box))]
    corners += [] if instance.rbox is None else [rbox_to_qbox(np.array(instance.rbox))]
    return "".join(_path((qbox - origin) * scale) for qbox in corners)


def _card(choice: Choice, image: NDArray[np.uint8] | None) -> Card:
    instance, size = choice.instance, choice.tile.size
    view = view_of(instance, size)
    picture = None
    if image is not None:
        picture = data_uri(Image.fromarray(crop_of(image, view, _SIDE)), "WEBP", quality=_QUALITY, method=4)
    (height, width), path, boxes = lines_of(instance, view, _SIDE)
    return Card(choice, flags_of(instance), (height, width), picture, path, boxes)


def _scaled(view: tuple[int, int, int, int], side: int) -> tuple[float, int, int]:
    x1, y1, x2, y2 = view
    scale = side / max(x2 - x1, y2 - y1)
    width, height = (max(1, round(length * scale)) for length in (x2 - x1, y2 - y1))
    return scale, width, height


def crop_of(image: NDArray[np.uint8], view: tuple[int, int, int, int], side: int) -> NDArray[np.uint8]:
    """A part x1 y1 x2 y2 of an image (H, W, 3), resampled so that its longer side has ``side`` pixels."""
    x1, y1, x2, y2 = view
    scale, width, height = _scaled(view, side)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    crop = cv2.resize(np.ascontiguousarray(image[y1:y2, x1:x2]), (width, height), interpolation=how)
    return np.asarray(crop, np.uint8)


def lines_of(instance: Instance, view: tuple[int, int, int, int], side: int) -> tuple[tuple[int, int], str, str]:
    """Size (H, W) of the picture by :func:`crop_of`, and on it the mask's outline and the boxes as SVG paths."""
    x1, y1, x2, y2 = view
    scale, width, height = _scaled(view, side)
    path = ""
    if instance.area:
        mask = cut_mask(rle_to_crop(instance.rle), view).full((y2 - y1, x2 - x1)).astype(np.uint8)
        path = outline(cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT) > 0)
    return (height, width), path, _boxes(instance, np.array([x1, y1], np.float64), scale)


def _read(path: Path | None, size: tuple[int, int]) -> tuple[NDArray[np.uint8] | None, str]:
    """The image (H, W, 3), or ``None`` and what is wrong with it."""
    if path is None:
        return None, "no image was found; name the folder of the images with --images"
    try:
        image = convert_to_rgb(path)
    except (DataError, OSError) as error:
        return None, str(error)
    if image.shape[:2] != size:
        return None, f"{path}: the image has {image.shape[:2]} pixels (H, W), but its labels have {size}"
    return image, ""


def make_cards(choices: Sequence[Choice]) -> tuple[list[Card], list[str]]:
    """Pictures of the chosen masks; every image is read once.

    Args:
        choices: The masks.

    Returns:
        One card per choice in the given order, and the problems with images.
    """
    order = sorted(range(len(choices)), key=lambda i: choices[i].tile.name)
    cards: dict[int, Card] = {}
    problems = []
    progress = Progress(len(choices), "gallery", unit="mask")
    for name, group in groupby(order, key=lambda i: choices[i].tile.name):
        members = list(group)
        tile = choices[members[0]].tile
        image, problem = _read(tile.image, tile.size)
        if problem:
            problems.append(f"{name}: {problem}")
            _log.warning("%s: %s", name, problem)
        for i in members:
            cards[i] = _card(choices[i], image)
            progress.step()
    progress.close()
    return [cards[i] for i in range(len(choices))], problems
