"""What land-cover labels hold: pixels and connected segments of every class, image by image.

Source: OpenEarthMap paper, table 2 and figs. 2-4.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rsseg.datasets.checking.parts import Part, open_parts
from rsseg.errors import ConfigError, DataError
from rsseg.io.chunks import file_states, share_chunks
from rsseg.io.georeference import GeoReference
from rsseg.io.progress import Progress
from rsseg.io.rasters import opened
from rsseg.io.shards import Shard
from rsseg.io.tables import read_json
from rsseg.io.workers import map_threads
from rsseg.metainfo import IGNORE

__all__ = ["LabelCounts", "count_segments", "count_set", "count_share", "labelled_parts"]

Ints = NDArray[np.int64]
_Item = tuple[Part, Path, Path]
_Row = tuple[Ints, Ints, Ints, float]
_CHUNK = 32
"""Labels of a chunk, where jobs share them."""


@dataclass
class LabelCounts:
    """Counts of one set of N images and C classes.

    Attributes:
        name: Name of the set.
        classes: Names of the classes.
        files: Label files that were read.
        images: Image of each label file.
        pixels: (N, C + 1) int64 pixels of each class; the last column is unlabelled.
        segments: (N, C) int64 connected segments of each class.
        holes: (N, C) int64 holes in these segments.
        metres: (N,) float64 square metres of the ground in each image; NaN where its pixels have no size.
        problems: Label files that could not be used, with the reason.
    """

    name: str
    classes: tuple[str, ...]
    files: list[Path] = field(default_factory=list)
    images: list[Path] = field(default_factory=list)
    pixels: Ints = field(default_factory=lambda: np.zeros((0, 1), np.int64))
    segments: Ints = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    holes: Ints = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    metres: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    problems: list[str] = field(default_factory=list)

    @property
    def shares(self) -> NDArray[np.float64]:
        """(C,) share of each class in all labelled pixels."""
        return self.shares_of(slice(None))

    def shares_of(self, rows: Any) -> NDArray[np.float64]:
        """(C,) share of each class in the labelled pixels of some images."""
        total = self.pixels[rows, :-1].sum(0)
        return total / max(total.sum(), 1)

    def square_kilometres(self, rows: Any = slice(None)) -> float | None:
        """Ground of some images; None where one of them has no size on the ground."""
        ground = float(self.metres[rows].sum()) / 1e6
        return None if np.isnan(ground) else ground


def count_segments(ids: NDArray[np.uint8], classes: int) -> tuple[Ints, Ints]:
    """Connected sets of pixels of one class, and the holes in them.

    Args:
        ids: (H, W) training ids; values from ``classes`` on do not count.
        classes: Number of classes C.

    Returns:
        Segments and holes, both (C,) int64.  Pixels that touch at a corner are connected.

    Source: OpenEarthMap paper, section 2.2, which counts by OpenCV's findContours and names no mode.  Outer contours
    are the connected segments; contours of holes, which some modes mix with them, are counted apart.
    """
    segments, holes = np.zeros((2, classes), np.int64)
    for i in np.flatnonzero(np.bincount(ids.ravel(), minlength=classes)[:classes]):
        hierarchy = cv2.findContours((ids == i).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[1]
        inner = hierarchy.reshape(-1, 4)[:, 3] >= 0
        segments[i], holes[i] = (~inner).sum(), inner.sum()
    return segments, holes


def labelled_parts(config: Mapping[str, Any], splits: Sequence[str]) -> list[Part]:
    """The parts of a config whose labels can be read, each label file in one of them only.

    Args:
        config: A segmentation config, or a file of ``configs/_base_/datasets``.
        splits: Of ``train``, ``val``, ``test``.

    Raises:
        FileNotFoundError: A part cannot be opened, or no label is left.
        ConfigError: The config has several label sets.
    """
    seen: set[Path] = set()
    out = []
    for part in open_parts(config):
        if part.split not in splits:
            continue
        if part.failure:
            raise FileNotFoundError(f"{part.split}: {part.failure}")
        part.files = [(image, label) for image, label in part.files if label is not None and label not in seen]
        seen.update(label for _, label in part.files if label is not None)
        out += [part] if part.files else []
    if not out:
        raise FileNotFoundError(f"the config has no labels in {', '.join(splits)}")
    if len({(part.name, part.classes) for part in out}) > 1:
        raise ConfigError(
            f"the config has several label sets ({', '.join(part.name for part in out)}); use one config for each"
        )
    return out


def count_set(parts: Sequence[Part], workers: int = 1) -> LabelCounts:
    """Count all labels of a set; the outcome does not depend on the number of threads.

    Args:
        parts: From :func:`labelled_parts`.
        workers: Threads.
    """
    items = _items(parts)
    progress = Progress(len(items), f"count {parts[0].name}")
    rows = []
    for row in map_threads(_count, items, workers):
        rows.append(row)
        progress.step()
    progress.close()
    return _gather(parts[0], items, rows)


def count_share(parts: Sequence[Part], folder: Path, shard: Shard, workers: int = 1) -> LabelCounts | None:
    """As :func:`count_set`, by jobs that share a folder.

    Args:
        parts: As there.
        folder: Where the jobs keep what they have counted.
        shard: Which share of the labels this job counts.
        workers: Threads.

    Returns:
        The counts; None while other jobs have not done their share.
    """

    def count(items: Sequence[_Item]) -> bytes:
        return json.dumps([_as_json(row) for row in map_threads(_count, items, workers)]).encode()

    def depends(items: Sequence[_Item]) -> str:
        files = file_states([file for _, image, label in items for file in (label, image)])
        return "\n".join([files, *(f"{part.name} {part.classes} {part.meaning.tolist()}" for part in parts)])

    items = _items(parts)
    files = share_chunks(items, count, depends, folder / parts[0].name, shard, _CHUNK, f"count {parts[0].name}")
    if files is None:
        return None
    return _gather(parts[0], items, [_from_json(row) for file in files for row in read_json(file, list)])


def _items(parts: Sequence[Part]) -> list[_Item]:
    return [(part, image, label) for part in parts for image, label in part.files if label is not None]


def _as_json(row: _Row | str) -> Any:
    return row if isinstance(row, str) else [*(counts.tolist() for counts in row[:3]), row[3]]


def _from_json(row: Any) -> _Row | str:
    if isinstance(row, str):
        return row
    pixels, segments, holes = (np.array(counts, np.int64) for counts in row[:3])
    return pixels, segments, holes, row[3]


def _gather(first: Part, items: Sequence[_Item], found: Sequence[_Row | str]) -> LabelCounts:
    out, rows = LabelCounts(first.name, first.classes), []
    for (_, image, label), row in zip(items, found, strict=True):
        if isinstance(row, str):
            out.problems.append(row)
        else:
            out.files.append(label)
            out.images.append(image)
            rows.append(row)
    count = len(first.classes)
    out.pixels = np.array([row[0] for row in rows], np.int64).reshape(-1, count + 1)
    out.segments, out.holes = (np.array([row[i] for row in rows], np.int64).reshape(-1, count) for i in (1, 2))
    out.metres = np.array([row[3] for row in rows], np.float64)
    return out


def _count(item: _Item) -> _Row | str:
    """Pixels, segments, holes and square metres of an image's label; or why it cannot be used."""
    part, image, label = item
    try:
        ids = part.ids(label)
    except (OSError, ValueError, SyntaxError) as error:
        text = str(error)
        return text if str(label) in text else f"{label}: {text}"
    count = len(part.classes)
    pixels = np.bincount(ids.ravel(), minlength=256)
    ground = next((metres for file in (label, image) if (metres := _ground(file)) is not None), np.nan)
    return np.append(pixels[:count], pixels[IGNORE]), *count_segments(ids, count), ground


def _ground(path: Path | None) -> float | None:
    """Square metres of all pixels of a raster; None for files that do not say where they lie, or cannot be opened."""
    if path is None or not path.is_file():
        return None
    try:
        with opened(path) as file:
            areas = GeoReference.of(file).row_areas
            return None if areas is None else float(areas.sum() * file.width)
    except (OSError, DataError):  # an image that nothing else is read of here; `rsseg check` tells of it
        return None
