"""What a labelled set consists of: tiles, and in each tile instances."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsseg.metainfo import ClassTable

__all__ = ["Instance", "LabelledSet", "LabelledTile"]


@dataclass(frozen=True)
class Instance:
    """One object in one tile; coordinates are tile pixels.

    Attributes:
        label: Class id, 0-based.
        rle: Compressed COCO RLE of the whole mask, ``{"size": [H, W], "counts": str}``; masks may overlap.
        area: Pixels of the mask; 0 where the mask model found nothing.
        bbox: Tight x1 y1 x2 y2 of the mask, right and bottom exclusive; zeros when empty.
        predicted_iou: The mask model's own estimate, where it made one.
        stability: Stability score 0..1, where known.
        mask_to_box: Mask area / area of the prompt box inside the tile, where known.
        touches_border: Whether the mask reaches the tile's outermost rows or columns.
        prompt_box: x1 y1 x2 y2 the model was asked with, not clipped.
        rbox: cx cy w h angle (radians) where the object's box is rotated.
        source_object_id: The object's name in its source, where known.
        qbox: x1 y1 ... x4 y4, the corners as labelled where there is an ``rbox``, which takes them for a rectangle.
    """

    label: int
    rle: dict[str, Any]
    area: int
    bbox: tuple[int, int, int, int]
    predicted_iou: float | None
    stability: float | None
    mask_to_box: float | None
    touches_border: bool
    prompt_box: tuple[float, ...] | None
    rbox: tuple[float, ...] | None
    source_object_id: str | None
    qbox: tuple[float, ...] | None = None


@dataclass(frozen=True)
class LabelledTile:
    """One image with labels.

    Attributes:
        name: Stem of its files.
        source: The source image (or, in a released set, the scene) it was cut from.
        image: Where its pixels are; ``None`` where no such file was found.
        labels: Its label map, a PNG of class ids (H, W) uint8, 255 = unlabelled.
        size: (H, W) in pixels.
        offset: Column x, row y of its first pixel in the source image; (0, 0) where unknown.
        split: ``train``, ``val``, or ``None`` where it is in no list.
        instances: Its objects, in the order in which they were painted by default.
    """

    name: str
    source: str
    image: Path | None
    labels: Path
    size: tuple[int, int]
    offset: tuple[int, int]
    split: str | None
    instances: list[Instance]


class LabelledSet(ABC):
    """Tiles with label maps and instances, read one after another; made by :func:`open_labels`.

    Attributes:
        root: Folder of the set.
        table: Its classes.
        manifest: What a conversion says about itself; ``None`` for a released set.
    """

    root: Path
    table: ClassTable
    manifest: dict[str, Any] | None

    @abstractmethod
    def __len__(self) -> int:
        """Number of tiles."""

    @abstractmethod
    def __iter__(self) -> Iterator[LabelledTile]:
        """All tiles, in the set's own order; the instances of one at a time are in memory."""

    @abstractmethod
    def files(self, number: int) -> list[Path]:
        """Files that the labels of a tile, numbered from 0, are read from."""
