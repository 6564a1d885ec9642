"""Splitting the images of each region 6:1:3 so that training and test images show the same classes.

Source: OpenEarthMap paper, section 2.2: of many random divisions of a region, the one with the least mismatch between
the classes of its training and its test images.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rsseg.datasets.openearthmap.regions import region_of
from rsseg.io.labels import read_labels
from rsseg.io.progress import Progress
from rsseg.io.workers import map_threads
from rsseg.metainfo import load_metainfo

__all__ = ["Split", "choose_split", "count_labels", "part_sizes", "split_regions"]

_BLOCK = 1000
"""Trials that are held at once; another number would draw other divisions."""

Ints = NDArray[np.int64]


def count_labels(labels: Sequence[Path], table: str = "openearthmap", workers: int = os.cpu_count() or 1) -> Ints:
    """Pixels of each class in label files.

    Args:
        labels: N files.
        table: Class table of C classes.
        workers: Threads.

    Returns:
        (N, C) int64.

    Raises:
        FileNotFoundError: A file cannot be read.
        ValueError: A file holds a value that the table does not allow.
    """
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # OpenCV 5 warns of every GeoTIFF tag
    info = load_metainfo(table)

    def count(path: Path) -> Ints:
        found = np.bincount(read_labels(str(path)).ravel(), minlength=256)
        info.encode(np.flatnonzero(found).astype(np.uint8), str(path))  # refuses values that are no label
        return np.bincount(info.lut, found, 256).astype(np.int64)[: info.num_classes]

    progress, rows = Progress(len(labels), "count"), []
    for row in map_threads(count, labels, workers):
        rows.append(row)
        progress.step()
    progress.close()
    return np.array(rows, np.int64).reshape(len(labels), info.num_classes)


def part_sizes(images: Mapping[str, int]) -> dict[str, tuple[int, int, int]]:
    """How many images of each region train, validate and test.

    A region of n images gives round(0.6 n) and round(0.1 n), at least one each, and the rest tests.  Small regions do
    without validation: of three images two train and one tests, of two one each, one alone trains.  Then the regions
    with the most images give up or take one each until the totals are 6:1:3 as well.

    Args:
        images: Number of images of each region.

    Returns:
        Training, validation and test images of each region.

    Source: reproduces the official lists' numbers in all 97 regions; the rule as such is ours.
    """
    sizes = {}
    for region, n in images.items():
        train, val = max(1, round(0.6 * n)), max(1, round(0.1 * n)) if n > 3 else 0
        sizes[region] = [train, val, n - train - val] if n > 2 else [1, 0, n - 1]
    total = sum(images.values())
    largest = sorted(images, key=lambda region: (-images[region], region))
    for part, wanted in ((0, round(0.6 * total)), (1, round(0.1 * total))):
        excess = sum(size[part] for size in sizes.values()) - wanted
        step = 1 if excess > 0 else -1
        for region in largest[: abs(excess)]:
            size = sizes[region]
            if images[region] > 2 and size[part] - step >= 1 and size[2] + step >= 1:
                size[part], size[2] = size[part] - step, size[2] + step
    return {region: (size[0], size[1], size[2]) for region, size in sizes.items()}


@dataclass(frozen=True)
class Split:
    """The division of one region.

    Attributes:
        parts: (N,) int64, 0 where an image trains, 1 validates, 2 tests.
        classes: Classes that the region's labels show.
        lost: Of these, classes that no training image shows.
        mismatch: Classes that either the training or the test images show, but not both.
        distance: Half the sum over classes of the difference between their shares in training and test pixels, 0..1.
    """

    parts: Ints
    classes: int
    lost: int
    mismatch: int
    distance: float


def choose_split(pixels: Ints, sizes: tuple[int, int, int], trials: int, rng: np.random.Generator) -> Split:
    """The best of many random divisions of one region.

    Fewest classes lost for training come first, then the least mismatch, then the smallest distance, then the first
    trial; more trials of the same generator are never worse.

    Args:
        pixels: (N, C) int64 pixels of each class in each image.
        sizes: Numbers of training, validation and test images, N in all.
        trials: Number of divisions to draw.
        rng: Where they are drawn from.

    Raises:
        ValueError: The sizes do not add up to N, or there are no trials.
    """
    count, (train, val, _) = len(pixels), sizes
    if sum(sizes) != count or trials < 1:
        raise ValueError(f"{count} images, parts of {sizes} and {trials} trials do not match")
    best: tuple[tuple[float, ...], Ints] | None = None
    for start in range(0, trials, _BLOCK):
        orders = rng.permuted(np.tile(np.arange(count), (_BLOCK, 1)), axis=1)[: trials - start]
        keys = _mismatch(pixels, orders[:, :train], orders[:, train + val :])
        place = int(np.lexsort(keys.T[::-1])[0])
        key = tuple(keys[place].tolist())
        if best is None or key < best[0]:
            best = key, orders[place]
    assert best is not None
    (lost, mismatch, distance), order = best
    parts = np.empty(count, np.int64)
    parts[order] = np.repeat(np.arange(3), sizes)
    return Split(parts, int((pixels.sum(0) > 0).sum()), int(lost), int(mismatch), float(distance))


def _mismatch(pixels: Ints, train: Ints, test: Ints) -> NDArray[np.float64]:
    """(T, 3) lost classes, mismatch, distance of T divisions with images ``train`` (T, n) and ``test`` (T, m)."""
    sums = [pixels[images].sum(1) for images in (train, test)]
    shown, tested = (part > 0 for part in sums)
    lost = ((pixels.sum(0) > 0) & ~shown).sum(1)
    shares = [part / np.maximum(part.sum(1, keepdims=True), 1) for part in sums]
    return np.stack([lost, (shown != tested).sum(1), np.abs(shares[0] - shares[1]).sum(1) / 2], 1)


def split_regions(
    names: Sequence[str], pixels: Ints, trials: int = 10000, seed: int = 0
) -> tuple[dict[str, list[str]], dict[str, Split]]:
    """Divide the images of every region.

    Args:
        names: N images, as ``aachen_1``.
        pixels: (N, C) int64 pixels of each class, from :func:`count_labels`.
        trials: Divisions to draw for each region.
        seed: Another seed draws others; a region's do not depend on which other regions there are.

    Returns:
        Names by part (``train``, ``val``, ``test``), sorted by region and number; and the division of each region,
        whose images are in that order too.

    Raises:
        ValueError: A name has another form.
    """
    places = dict(_by_region(names))
    sizes = part_sizes({region: len(found) for region, found in places.items()})
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    splits, progress = {}, Progress(len(places), "split", unit="region")
    for region, found in places.items():
        rng = np.random.default_rng([seed, zlib.crc32(region.encode())])
        splits[region] = choose_split(pixels[found], sizes[region], trials, rng)
        for place, part in zip(found, splits[region].parts.tolist(), strict=True):
            lists[("train", "val", "test")[part]].append(names[place])
        progress.step()
    progress.close()
    return lists, splits


def _by_region(names: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
    """Places of each region's images, regions by name and images by number."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(region_of(name), []).append(place)
    for region in sorted(places):
        yield region, sorted(places[region], key=lambda place: int(names[place].rpartition("_")[2]))
