"""Figures of a labelled set's statistics, one look for all of them.

Source: SAMRS paper, fig. 5 (pixels and instances per class) and fig. 6 (mask sizes).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rsseg.metainfo import ClassTable
from rsseg.reports.labels.statistics import BUCKETS, MASK_BOX_RATIO_EDGES, SHARE_EDGES, Statistics

__all__ = ["FIGURES", "STYLE", "class_figure", "quality_figure", "size_figure"]

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e6ea",
    "grid.linewidth": 0.7,
    "axes.edgecolor": "#8a93a0",
    "xtick.color": "#4a525e",
    "ytick.color": "#4a525e",
    "text.color": "#1c2430",
    "axes.labelcolor": "#4a525e",
    "figure.facecolor": "white",
}
_BAR, _EDGE = "#2f6db5", "#59616d"


def _figure(width: float, height: float, rows: int, columns: int, title: str) -> tuple[Figure, NDArray[Any]]:
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure, axes


def _short(value: float) -> str:
    """A number in at most four characters and a unit: 950, 12.3k, 4.56M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def class_figure(statistics: Statistics, table: ClassTable) -> Figure:
    """Pixels of the label maps and instances of every class, on logarithmic axes, with the numbers beside the bars."""
    with matplotlib.rc_context(STYLE):
        count = len(table.classes)
        height = 1.3 + 0.22 * count
        figure, axes = _figure(9.5, height, 1, 2, f"{table.name}: pixels and instances per class")
        colours = [tuple(v / 255 for v in colour) for colour in table.palette]
        panels = (
            ("label pixels", statistics.label_pixels[:-1]),
            ("instances with a mask", statistics.instances),
        )
        for axis, (title, values) in zip(axes, panels, strict=True):
            place = np.arange(count)
            axis.barh(place, values, color=colours, edgecolor=_EDGE, linewidth=0.5, height=0.72)
            axis.set_xscale("symlog", linthresh=1)
            axis.set_xlim(0, max(float(values.max()), 1) * 30)
            axis.set_ylim(count - 0.5, -0.5)
            axis.grid(False, axis="y")
            axis.set_title(title)
            for i, value in enumerate(values):
                axis.annotate(_short(float(value)), (float(value), i), (3, 0), textcoords="offset points", va="center",
                              fontsize=7.5)  # fmt: skip
            axis.set_yticks(place, table.classes if axis is axes[0] else [""] * count)
    return figure


def size_figure(statistics: Statistics, table: ClassTable) -> Figure:
    """Mask areas of all classes, and the shares of small, medium and large masks in every class."""
    with matplotlib.rc_context(STYLE):
        count = len(table.classes)
        figure, axes = _figure(9.5, max(3.4, 1.6 + 0.22 * count), 1, 2, f"{table.name}: mask sizes")
        _size_histogram(axes[0], statistics.sizes.sum(0))
        totals = np.maximum(statistics.buckets.sum(1, keepdims=True), 1)
        shares, start = statistics.buckets / totals, np.zeros(count)
        names = list(BUCKETS)
        texts = [f"small (< {32**2})", "medium", f"large (≥ {96**2} px)"]
        for k, colour in zip(range(len(names)), ("#9fc3ea", "#4d8ccb", "#1d4878"), strict=True):
            axes[1].barh(np.arange(count), shares[:, k], left=start, color=colour, height=0.72, label=texts[k])
            start = start + shares[:, k]
        axes[1].set_yticks(np.arange(count), table.classes)
        axes[1].set_ylim(count - 0.5, -0.5)
        axes[1].set_xlim(0, 1)
        axes[1].grid(False, axis="y")
        axes[1].set_xlabel("share of the class's masks")
        axes[1].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=8)
    return figure


def _size_histogram(axis: Axes, counts: NDArray[np.int64]) -> None:
    filled = np.flatnonzero(counts)
    first, last = (int(filled[0]), int(filled[-1]) + 1) if len(filled) else (0, 1)
    place = np.arange(first, last)
    axis.bar(place, counts[first:last], width=0.9, align="edge", color=_BAR)
    ticks = np.arange(first, last + 1, max(1, -(-(last - first) // 6)))
    axis.set_xticks(ticks, [_short(float(2**k)) for k in ticks])
    axis.grid(False, axis="x")
    axis.set_title("all classes; every bar doubles the size")
    axis.set_xlabel("mask area in pixels")
    axis.set_ylabel("masks")
    for name, limit in list(BUCKETS.items())[1:]:
        if first < np.log2(limit) < last:
            axis.axvline(float(np.log2(limit)), color=_EDGE, linewidth=1, linestyle="--")
            axis.annotate(name, (float(np.log2(limit)), 1), (3, -2), xycoords=("data", "axes fraction"),
                          textcoords="offset points", va="top", fontsize=8)  # fmt: skip


def _histogram(axis: Axes, counts: NDArray[np.int64], edges: NDArray[np.float64], title: str, what: str) -> None:
    axis.set_title(title)
    axis.set_ylabel(what)
    if not counts.sum():
        axis.text(0.5, 0.5, "not recorded", transform=axis.transAxes, ha="center", color=_EDGE)
        axis.set_xticks([])
        axis.set_yticks([])
        return
    width = edges[1] - edges[0]
    axis.bar(edges[:-1], counts, width=width * 0.92, align="edge", color=_BAR)
    axis.set_xlim(edges[0], edges[len(counts) - 1] + width)
    axis.grid(False, axis="x")


def quality_figure(statistics: Statistics, table: ClassTable) -> Figure:
    """Predicted IoU, stability and mask area / box area of the masks; unlabelled share of the tiles."""
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(9.5, 5.4, 2, 2, f"{table.name}: quality")
        s = statistics
        _histogram(axes[0], s.ious.sum(0), SHARE_EDGES, "predicted IoU", "masks")
        _histogram(axes[1], s.stability.sum(0), SHARE_EDGES, "stability score", "masks")
        _histogram(
            axes[2],
            s.mask_box_ratios.sum(0),
            MASK_BOX_RATIO_EDGES,
            "mask area / box area (last bar: 2 and more)",
            "masks",
        )
        _histogram(axes[3], s.unlabelled, SHARE_EDGES, "unlabelled share of a tile", "tiles")
    return figure


FIGURES: dict[str, Callable[[Statistics, ClassTable], Figure]] = {
    "classes": class_figure,
    "mask_sizes": size_figure,
    "quality": quality_figure,
}
"""File stem -> the function that draws it."""
