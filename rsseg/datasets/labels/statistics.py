"""What a labelled set holds, counted tile by tile; sums of several parts add up.

Source: SAMRS paper, figs. 4-6 (pixels and instances per class, mask sizes); the rest is ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsseg.datasets.labels import Instance
from rsseg.datasets.labels.overlap import Overlap, mask_overlap
from rsseg.errors import DataError
from rsseg.metainfo.table import IGNORE

__all__ = ["BUCKETS", "MASK_BOX_RATIO_EDGES", "SHARE_EDGES", "SIZE_EDGES", "Statistics", "median"]

BUCKETS = {"small": 0, "medium": 32**2, "large": 96**2}
"""Name -> smallest mask area in pixels; COCO's limits."""
TINY = 100
"""Masks below this area are called extremely small in the paper (section 3.3)."""
SIZE_EDGES = np.append(2.0 ** np.arange(28), np.inf)
"""Mask areas 1, 2, 4 ... in pixels: every bin doubles the size; the last one takes what is larger."""
SHARE_EDGES = np.linspace(0, 1, 51)
"""Bins of scores and shares."""
MASK_BOX_RATIO_EDGES = np.append(np.linspace(0, 2, 101), np.inf)
"""Bins of mask area / area of the prompt box."""

Ints = NDArray[np.int64]


class Statistics:
    """Counts of a set with C classes; all int64, and all of them add up over tiles.

    Args:
        classes: Names of the C classes.

    Attributes:
        tiles: (3,) tiles, tiles without objects, tiles without any labelled pixel.
        overlap: (3,) pixels under one mask or more, two or more, masks of two classes or more.
        unlabelled: (50,) tiles by share of unlabelled pixels, bins ``SHARE_EDGES``.
        label_pixels: (C + 1,) pixels of the label maps by class; the last one is unlabelled.
        instances: (C,) objects whose mask is not empty.
        empty: (C,) objects whose mask is empty.
        mask_pixels: (C,) areas of the masks, summed; pixels under two masks count twice.
        border: (C,) masks that touch the tile's border.
        tiny: (C,) masks below 100 pixels.
        buckets: (C, 3) masks that are small, medium, large.
        sizes: (C, 28) masks by area, bins ``SIZE_EDGES``.
        mask_box_ratios: (C, 101) masks by area / area of the prompt box, bins ``MASK_BOX_RATIO_EDGES``.
        ious: (C, 50) masks by predicted IoU, bins ``SHARE_EDGES``.
        stability: (C, 50) masks by stability score, bins ``SHARE_EDGES``.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes, count, share = tuple(classes), len(classes), len(SHARE_EDGES) - 1
        self.tiles, self.overlap, self.unlabelled = _zeros(3), _zeros(3), _zeros(share)
        self.label_pixels = _zeros(count + 1)
        self.instances, self.empty, self.mask_pixels = _zeros(count), _zeros(count), _zeros(count)
        self.border, self.tiny, self.buckets = _zeros(count), _zeros(count), _zeros(count, len(BUCKETS))
        self.sizes, self.mask_box_ratios = (
            _zeros(count, len(SIZE_EDGES) - 1),
            _zeros(count, len(MASK_BOX_RATIO_EDGES) - 1),
        )
        self.ious, self.stability = _zeros(count, share), _zeros(count, share)

    def add(self, other: Statistics) -> None:
        """Add the counts of another part of the set."""
        self.add_counts({name: counts for name, counts in vars(other).items() if name != "classes"})

    def counts(self) -> dict[str, Any]:
        """All counts as lists, ready for JSON."""
        return {name: counts.tolist() for name, counts in vars(self).items() if name != "classes"}

    def add_counts(self, counts: Mapping[str, ArrayLike]) -> None:
        """Add :meth:`counts` of another part of the set."""
        for name, values in counts.items():
            own: Ints = getattr(self, name)
            own += np.asarray(values, np.int64)

    def add_labels(self, pixels: Ints) -> float:
        """Count one label map.

        Args:
            pixels: (256,) its pixels by value.

        Returns:
            Its share of unlabelled pixels.

        Raises:
            DataError: A value is no class; nothing is counted then.
        """
        count = len(self.classes)
        wrong = [int(value) for value in np.flatnonzero(pixels) if count <= value != IGNORE]
        if wrong:
            raise DataError(f"value {wrong[0]} is not a class; allowed are 0..{count - 1} and {IGNORE}")
        share = _share(pixels[IGNORE], pixels.sum())
        self.label_pixels += np.append(pixels[:count], pixels[IGNORE])
        self.unlabelled[_bins(share, SHARE_EDGES)] += 1
        self.tiles[2] += share == 1
        return share

    def add_instances(self, instances: Sequence[Instance]) -> Overlap:
        """Count one tile and its objects.

        Args:
            instances: The objects.

        Returns:
            How much their masks overlap.

        Raises:
            ValueError: An RLE is damaged; nothing is counted then.
        """
        whole = [instance for instance in instances if instance.area > 0]
        overlap = mask_overlap([i.rle for i in whole], [i.label for i in whole])
        self.tiles[:2] += [1, not instances]
        self.overlap += overlap
        empty = [i.label for i in instances if i.area == 0]
        self.empty += np.bincount(np.asarray(empty, np.int64), minlength=len(self.classes))
        if whole:
            self._add_masks(whole)
        return overlap

    def _add_masks(self, instances: Sequence[Instance]) -> None:
        labels, areas = np.array([(i.label, i.area) for i in instances], np.int64).T
        np.add.at(self.instances, labels, 1)
        np.add.at(self.mask_pixels, labels, areas)
        np.add.at(self.border, labels, [i.touches_border for i in instances])
        np.add.at(self.tiny, labels, areas < TINY)
        np.add.at(self.buckets, (labels, np.searchsorted(list(BUCKETS.values()), areas, side="right") - 1), 1)
        np.add.at(self.sizes, (labels, _bins(areas, SIZE_EDGES)), 1)
        self.add_mask_box_ratios(instances)
        _count_known(self.ious, SHARE_EDGES, labels, [i.predicted_iou for i in instances])
        _count_known(self.stability, SHARE_EDGES, labels, [i.stability for i in instances])

    def add_mask_box_ratios(self, instances: Sequence[Instance]) -> None:
        """Count ``mask_box_ratios`` alone.

        Args:
            instances: Objects whose mask is not empty.
        """
        labels = np.array([i.label for i in instances], np.int64)
        _count_known(self.mask_box_ratios, MASK_BOX_RATIO_EDGES, labels, [i.mask_to_box for i in instances])

    @property
    def unlabelled_share(self) -> float:
        """Share of the label maps' pixels without a label."""
        return _share(self.label_pixels[-1], self.label_pixels.sum())

    @property
    def empty_share(self) -> float:
        """Share of the objects whose mask is empty."""
        return _share(self.empty.sum(), self.empty.sum() + self.instances.sum())

    @property
    def overlap_shares(self) -> tuple[float, float]:
        """Of the pixels under any mask, the shares under two or more, and under masks of two classes or more."""
        return _share(self.overlap[1], self.overlap[0]), _share(self.overlap[2], self.overlap[0])

    def as_dict(self) -> dict[str, Any]:
        """The totals, ready for JSON."""
        names = ("tiles", "tiles_without_objects", "tiles_without_labels")
        shared, mixed = self.overlap_shares
        return {
            **dict(zip(names, self.tiles.tolist(), strict=True)),
            "instances": int(self.instances.sum()),
            "empty_masks": int(self.empty.sum()),
            "empty_share": self.empty_share,
            "label_pixels": int(self.label_pixels.sum()),
            "unlabelled_share": self.unlabelled_share,
            "mask_pixels": int(self.mask_pixels.sum()),
            "covered_pixels": int(self.overlap[0]),
            "overlap_share": shared,
            "overlap_share_of_different_classes": mixed,
            "touching_border": int(self.border.sum()),
            "below_100_pixels": int(self.tiny.sum()),
            **dict(zip(BUCKETS, self.buckets.sum(0).tolist(), strict=True)),
            "median_predicted_iou": median(self.ious.sum(0), SHARE_EDGES),
            "median_stability": median(self.stability.sum(0), SHARE_EDGES),
            "median_mask_to_box": median(self.mask_box_ratios.sum(0), MASK_BOX_RATIO_EDGES),
        }


def _zeros(*shape: int) -> Ints:
    return np.zeros(shape, np.int64)


def _bins(values: Any, edges: NDArray[np.float64]) -> Ints:
    """Index of the bin of each value; values beyond the ends go to the first and the last one."""
    found = np.searchsorted(edges, np.asarray(values, np.float64), side="right") - 1
    return np.clip(found, 0, len(edges) - 2)


def _count_known(counts: Ints, edges: NDArray[np.float64], labels: Ints, values: list[float | None]) -> None:
    """Count values that are no ``None`` into the rows of their classes."""
    numbers = np.array(values, np.float64)
    known = ~np.isnan(numbers)
    np.add.at(counts, (labels[known], _bins(numbers[known], edges)), 1)


def _share(part: Any, whole: Any) -> float:
    return float(part) / float(whole) if whole else 0.0


def median(counts: Ints, edges: NDArray[Any]) -> float | None:
    """Median of a histogram, interpolated inside its bin; ``None`` where it is empty.

    Args:
        counts: (B,) numbers.
        edges: (B + 1,) limits of the bins; an infinite last limit stands for the one before it.
    """
    total = int(counts.sum())
    if not total:
        return None
    passed = np.cumsum(counts)
    i = int(np.searchsorted(passed, total / 2))
    low, high = float(edges[i]), float(edges[i + 1])
    inside = (total / 2 - (passed[i] - counts[i])) / counts[i]
    return round(float(low if np.isinf(high) else low + inside * (high - low)), 4)
