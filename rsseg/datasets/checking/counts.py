"""What land-cover labels hold: pixels and connected segments of every class, image by image.

Source: OpenEarthMap paper, table 2 and figs. 2-4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rsseg.datasets.checking.parts import UNKNOWN, Part, open_parts
from rsseg.errors import ConfigError, DataError
from rsseg.io.progress import Progress
from rsseg.io.workers import map_threads
from rsseg.metainfo import IGNORE

__all__ = ["LabelCounts", "count_segments", "count_set", "labelled_parts"]

Ints = NDArray[np.int64]


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
        problems: Label files that could not be used, with the reason.
    """

    name: str
    classes: tuple[str, ...]
    files: list[Path] = field(default_factory=list)
    images: list[Path] = field(default_factory=list)
    pixels: Ints = field(default_factory=lambda: np.zeros((0, 1), np.int64))
    segments: Ints = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    holes: Ints = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    problems: list[str] = field(default_factory=list)

    @property
    def shares(self) -> NDArray[np.float64]:
        """(C,) share of each class in all labelled pixels."""
        return self.shares_of(slice(None))

    def shares_of(self, rows: Any) -> NDArray[np.float64]:
        """(C,) share of each class in the labelled pixels of some images."""
        total = self.pixels[rows, :-1].sum(0)
        return total / max(total.sum(), 1)


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
    first = parts[0]
    out, rows = LabelCounts(first.name, first.classes), []
    progress = Progress(sum(len(part.files) for part in parts), f"count {first.name}")
    for part in parts:
        labels = [label for _, label in part.files if label is not None]
        for (image, label), row in zip(part.files, map_threads(partial(_count, part), labels, workers), strict=True):
            if isinstance(row, str):
                out.problems.append(row)
            elif label is not None:
                out.files.append(label)
                out.images.append(image)
                rows.append(row)
            progress.step()
    progress.close()
    count = len(first.classes)
    out.pixels = np.array([row[0] for row in rows], np.int64).reshape(-1, count + 1)
    out.segments, out.holes = (np.array([row[i] for row in rows], np.int64).reshape(-1, count) for i in (1, 2))
    return out


def _count(part: Part, label: Path) -> tuple[Ints, Ints, Ints] | str:
    """Pixels, segments and holes of a label file; or why it cannot be used."""
    try:
        values = part.read(str(label))
        found = np.bincount(values.ravel(), minlength=256)
        unknown = np.flatnonzero((found > 0) & (part.meaning == UNKNOWN))
        if len(unknown):
            raise DataError(f"{label}: value {unknown[0]} is neither a class nor ignored")
    except (OSError, ValueError, SyntaxError) as error:
        text = str(error)
        return text if str(label) in text else f"{label}: {text}"
    count = len(part.classes)
    meaning = np.where(part.meaning == UNKNOWN, IGNORE, part.meaning).astype(np.uint8)
    pixels = np.bincount(meaning, found, 256).astype(np.int64)
    return np.append(pixels[:count], pixels[IGNORE]), *count_segments(cv2.LUT(values, meaning), count)
