"""Statistics of a labelled set as rows of CSV files."""

from __future__ import annotations

from typing import Any

import numpy as np

from rsseg.datasets.labels.statistics import BUCKETS, MASK_BOX_RATIO_EDGES, SHARE_EDGES, SIZE_EDGES, Statistics, median

__all__ = ["class_rows", "size_rows"]


def class_rows(statistics: Statistics) -> tuple[list[str], list[list[Any]]]:
    """Columns and one row per class, then one for all classes.

    ``label_pixels`` are the class's pixels of the label maps, ``mask_pixels`` the sum of its masks' areas.
    """
    columns = ["class", "label_pixels", "mask_pixels", "instances", "empty_masks", "touching_border"]
    columns += ["below_100_pixels", *BUCKETS]
    columns += ["median_area", "median_mask_to_box", "median_predicted_iou", "median_stability"]
    s, rows = statistics, []
    members = [*((name, [i]) for i, name in enumerate(s.classes)), ("all", list(range(len(s.classes))))]
    for name, ids in members:
        counts = (s.label_pixels[:-1], s.mask_pixels, s.instances, s.empty, s.border, s.tiny, *s.buckets.T)
        medians = (
            (s.sizes, SIZE_EDGES),
            (s.mask_box_ratios, MASK_BOX_RATIO_EDGES),
            (s.ious, SHARE_EDGES),
            (s.stability, SHARE_EDGES),
        )
        row = [name, *(int(values[ids].sum()) for values in counts)]
        rows.append(row + [median(values[ids].sum(0), edges) for values, edges in medians])
    return columns, rows


def size_rows(statistics: Statistics) -> tuple[list[str], list[list[Any]]]:
    """Columns and one row per range of mask areas: from (inclusive), to (exclusive), all classes, every class."""
    columns = ["area_from", "area_to", "all", *statistics.classes]
    limits = zip(SIZE_EDGES[:-1], SIZE_EDGES[1:], statistics.sizes.T, strict=True)
    rows = [[int(a), None if np.isinf(b) else int(b), int(n.sum()), *n.tolist()] for a, b, n in limits]
    return columns, rows
