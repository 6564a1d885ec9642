"""Figures of a labelled set's statistics.

Source: SAMRS paper, fig. 5 (pixels and instances per class) and fig. 6 (mask sizes).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rsseg.datasets.labels.statistics import BUCKETS, MASK_BOX_RATIO_EDGES, SHARE_EDGES, Statistics
from rsseg.metainfo import ClassTable
from rsseg.reports.figures import (
    BAR,
    EDGE,
    empty_figure,
    figure_and_axes,
    in_style,
    label_bars,
    logarithmic_counts,
    palette_colours,
    short_number,
    whole_numbers,
)

__all__ = [
    "FIGURES", "SET_FIGURES", "class_figure", "quality_figure", "sets_class_figure", "sets_size_figure", "size_figure",
]  # fmt: skip


@in_style
def class_figure(statistics: Statistics, table: ClassTable) -> Figure:
    """Pixels of the label maps and instances of every class, on logarithmic axes, with the numbers beside the bars."""
    count = len(table.classes)
    title = f"{table.name}: pixels and instances per class"
    panels = [(name, values) for name, values in (("label pixels", statistics.label_pixels[:-1]),
              ("instances with a mask", statistics.instances)) if values.any()]  # fmt: skip
    if not panels:
        return empty_figure(title, "no label and no mask was found")
    figure, axes = figure_and_axes(1.5 + 4 * len(panels), 1.5 + 0.22 * count, title, len(panels))
    for axis, (name, values) in zip(axes, panels, strict=True):
        colours = palette_colours(table.palette)
        axis.barh(range(count), values, color=colours, edgecolor=EDGE, linewidth=0.5, height=0.72)
        logarithmic_counts(axis, float(values.max()) * 30)
        axis.set_xlabel(f"{name} (logarithmic)")
        names = table.classes if axis is axes[0] else [""] * count
        label_bars(axis, names, values.tolist(), [short_number(value) for value in values.tolist()])
    axes[0].set_ylabel("class")
    return figure


@in_style
def size_figure(statistics: Statistics, table: ClassTable) -> Figure:
    """Mask areas of all classes, and the shares of small, medium and large masks in every class."""
    count = len(table.classes)
    if not statistics.sizes.any():
        return empty_figure(f"{table.name}: mask sizes", "no mask was found")
    figure, axes = figure_and_axes(9.5, max(3.4, 1.6 + 0.22 * count), f"{table.name}: mask sizes", 2)
    _size_histogram(axes[0], statistics.sizes.sum(0))
    totals = np.maximum(statistics.buckets.sum(1, keepdims=True), 1)
    shares, start = statistics.buckets / totals, np.zeros(count)
    texts = [f"small (< {32**2} px)", "medium", f"large (≥ {96**2} px)"]
    for k, colour in zip(range(len(BUCKETS)), ("#9fc3ea", "#4d8ccb", "#1d4878"), strict=True):
        axes[1].barh(np.arange(count), shares[:, k], left=start, color=colour, height=0.72, label=texts[k])
        start = start + shares[:, k]
    label_bars(axes[1], table.classes, [], [])
    axes[1].set_xlim(0, 1)
    axes[1].set_xlabel("share of the class's masks")
    axes[1].set_ylabel("class")
    axes[1].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure


def _size_histogram(axis: Axes, counts: NDArray[np.int64]) -> None:
    filled = np.flatnonzero(counts)
    first, last = (int(filled[0]), int(filled[-1]) + 1) if len(filled) else (0, 1)
    axis.bar(np.arange(first, last), counts[first:last], width=0.9, align="edge", color=BAR)
    ticks = np.arange(first, last + 1, max(1, -(-(last - first) // 6)))
    axis.set_xticks(ticks, [short_number(float(2**k)) for k in ticks])
    axis.grid(False, axis="x")
    axis.set_title("all classes; every bar doubles the size", pad=18)
    axis.set_xlabel("mask area in pixels")
    axis.set_ylabel("masks")
    whole_numbers(axis, "y")
    for name, limit in list(BUCKETS.items())[1:]:
        if first < np.log2(limit) < last:
            axis.axvline(float(np.log2(limit)), color=EDGE, linewidth=1, linestyle="--")
            axis.annotate(f"{name} →", (float(np.log2(limit)), 1), (0, 3), xycoords=("data", "axes fraction"),
                          textcoords="offset points", va="bottom", fontsize=7)  # fmt: skip


def _histogram(axis: Axes, counts: NDArray[np.int64], edges: NDArray[np.float64], name: str, unit: str) -> None:
    width = edges[1] - edges[0]
    axis.bar(edges[:-1], counts, width=width * 0.92, align="edge", color=BAR)
    axis.set_xlim(edges[0], edges[len(counts) - 1] + width)
    axis.grid(False, axis="x")
    axis.set_xlabel(name)
    axis.set_ylabel(unit)
    whole_numbers(axis, "y")


@in_style
def quality_figure(statistics: Statistics, table: ClassTable) -> Figure:
    """Predicted IoU, stability and mask area / box area of the masks; unlabelled share of the tiles; what there is."""
    s, title = statistics, f"{table.name}: quality"
    panels = [
        (s.ious.sum(0), SHARE_EDGES, "predicted IoU", "masks"),
        (s.stability.sum(0), SHARE_EDGES, "stability score", "masks"),
        (s.mask_box_ratios.sum(0), MASK_BOX_RATIO_EDGES, "mask area / box area (last bar: 2 and more)", "masks"),
        (s.unlabelled, SHARE_EDGES, "unlabelled share of a tile", "tiles"),
    ]
    panels = [panel for panel in panels if panel[0].any()]
    if not panels:
        return empty_figure(title, "no scores, no masks and no tiles were found")
    columns, rows = min(len(panels), 2), -(-len(panels) // 2)
    figure, axes = figure_and_axes(1.1 + 4.2 * columns, 0.6 + 2.4 * rows, title, columns, rows)
    for axis, panel in zip(axes, panels, strict=False):
        _histogram(axis, *panel)
    for axis in axes[len(panels) :]:
        axis.remove()
    return figure


Sets = Mapping[str, tuple[Statistics, ClassTable]]
"""Name of a set -> its counts and classes."""


@in_style
def sets_class_figure(sets: Sets) -> Figure:
    """Pixels (above) and instances (below) of every class, a column for each set, on logarithmic axes (figure 5)."""
    most = max(len(table.classes) for _, table in sets.values())
    width = 1 + (0.9 + 0.17 * most) * len(sets)
    figure, axes = figure_and_axes(width, 6.4, "Pixels and instances per class", len(sets), 2)
    for column, (name, (statistics, table)) in enumerate(sets.items()):
        rows = (("label pixels", statistics.label_pixels[:-1]), ("instances with a mask", statistics.instances))
        for row, (what, values) in enumerate(rows):
            axis, count = axes[row * len(sets) + column], len(table.classes)
            axis.bar(range(count), values, color=palette_colours(table.palette), edgecolor=EDGE, linewidth=0.4)
            axis.set_yscale("symlog", linthresh=1)
            axis.yaxis.set_major_formatter(lambda value, _: short_number(value))
            axis.set_xticks(range(count), table.classes, rotation=90, fontsize=6)
            axis.grid(False, axis="x")
            axis.set_title(name if row == 0 else "")
            axis.set_ylabel(what if column == 0 else "")
    return figure


@in_style
def sets_size_figure(sets: Sets) -> Figure:
    """Mask areas of all classes, a column for each set (figure 6)."""
    figure, axes = figure_and_axes(0.6 + 3.4 * len(sets), 3.4, "Mask sizes", len(sets))
    for axis, (name, (statistics, _)) in zip(axes, sets.items(), strict=True):
        _size_histogram(axis, statistics.sizes.sum(0))
        axis.set_title(f"{name}; every bar doubles the size", pad=18)
    return figure


SET_FIGURES: dict[str, Callable[[Sets], Figure]] = {"classes": sets_class_figure, "mask_sizes": sets_size_figure}
"""File stem -> the function that draws several sets side by side."""

FIGURES: dict[str, Callable[[Statistics, ClassTable], Figure]] = {
    "classes": class_figure,
    "mask_sizes": size_figure,
    "quality": quality_figure,
}
"""File stem -> the function that draws it."""
