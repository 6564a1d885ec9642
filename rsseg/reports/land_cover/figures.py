"""Figures of land-cover counts and of regions' similarity.

Source: OpenEarthMap paper, fig. 2 (images per continent), fig. 3 (regions by t-SNE), fig. 4 (class proportions,
segments per image).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from rsseg.datasets.checking.counts import LabelCounts
from rsseg.datasets.openearthmap.groups import Group, images_by_origin
from rsseg.datasets.openearthmap.regions import CONTINENTS, OPEN_DATA, load_regions
from rsseg.metainfo import list_metainfo, load_metainfo
from rsseg.reports.figures import EDGE, LINES, figure_and_axes, in_style, label_bars, palette_colours, whole_numbers
from rsseg.reports.land_cover.placement import annotate_points

__all__ = ["class_share_figure", "continent_figure", "mix_figure", "region_figure", "segment_figure"]

_MARKERS = "osD^vP"


def _colours(counts: LabelCounts) -> list[Any]:
    if counts.name in list_metainfo():
        return palette_colours(load_metainfo(counts.name).palette)
    palette = matplotlib.colormaps["tab20"].colors  # type: ignore[attr-defined]
    return [palette[i % len(palette)] for i in range(len(counts.classes))]


@in_style
def class_share_figure(sets: Sequence[LabelCounts]) -> Figure:
    """Share of each class in the labelled pixels, one panel per set (fig. 4a)."""
    most = max(len(counts.classes) for counts in sets)
    width = max(3.4 * len(sets) + 1.2, 5)
    figure, axes = figure_and_axes(width, 1.5 + 0.28 * most, "Class proportions", len(sets))
    for axis, counts in zip(axes, sets, strict=True):
        shares = (100 * counts.shares).tolist()
        axis.barh(range(len(shares)), shares, color=_colours(counts), edgecolor=EDGE, linewidth=0.5, height=0.72)
        label_bars(axis, counts.classes, shares, [f"{value:.1f}" for value in shares])
        axis.set_xlim(0, max(*shares, 1) * 1.2)
        axis.set_title(f"{counts.name}, {len(counts.files)} images")
        axis.set_xlabel("% of labelled pixels")
    axes[0].set_ylabel("class")
    return figure


@in_style
def segment_figure(sets: Sequence[LabelCounts]) -> Figure:
    """Share of images by their number of segments, one line per set (fig. 4b)."""
    figure, (axis,) = figure_and_axes(6.5, 3.6, "Segments per image")
    numbers = [counts.segments.sum(1) for counts in sets]
    high = max(int(values.max(initial=1)) for values in numbers)
    edges = np.linspace(0, high + 1, min(high + 1, 40) + 1)
    for counts, values, colour in zip(sets, numbers, np.resize(LINES, len(sets)), strict=True):
        heights = np.histogram(values, edges)[0] / max(len(values), 1)
        label = f"{counts.name}: mean {values.mean() if len(values) else 0:.0f}"
        axis.stairs(heights, edges, color=colour, linewidth=1.6, label=label, fill=len(sets) == 1)
    axis.set_xlim(0, edges[-1])
    axis.set_ylim(0)
    axis.set_xlabel("segments in an image")
    axis.set_ylabel("share of images")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


@in_style
def continent_figure(counts: LabelCounts, groups: Sequence[Group]) -> Figure:
    """Images per continent, coloured by the data set that they come from (fig. 2)."""
    found = [group for group in groups if group.kind == "continent"]
    figure, (axis,) = figure_and_axes(6.5, 3.6, f"{counts.name}: images per continent, by their origin")
    index, totals = np.arange(len(found)), np.zeros(len(found), np.int64)
    palette = [f"C{place}" for place in range(10) if place != 7]  # matplotlib's colours without its grey
    for place, (origin, rows) in enumerate(images_by_origin(groups).items()):
        images = np.array([len(rows.get(group.name, [])) for group in found])
        colour = "#c9ced6" if origin == OPEN_DATA else palette[place % len(palette)]
        axis.bar(index, images, width=0.66, bottom=totals, color=colour, edgecolor=EDGE, linewidth=0.3, label=origin)
        totals = totals + images
    for i, total in enumerate(totals.tolist()):
        axis.annotate(str(total), (i, total), (0, 2), textcoords="offset points", ha="center", fontsize=8)
    axis.set_xticks(index, [CONTINENTS[group.name].replace(" ", "\n") for group in found])
    axis.grid(False, axis="x")
    axis.set_xlabel("continent")
    axis.set_ylabel("images")
    whole_numbers(axis, "y")
    figure.legend(loc="outside lower center", ncols=5)
    return figure


@in_style
def mix_figure(counts: LabelCounts, groups: Sequence[Group], kind: str) -> Figure:
    """Class mix of every region or continent, as one stacked bar each."""
    found = [group for group in groups if group.kind == kind]
    legend_rows = -(-len(counts.classes) // 4)
    height = 1.5 + 0.2 * len(found) + 0.18 * legend_rows
    figure, (axis,) = figure_and_axes(7.5, height, f"{counts.name}: class mix by {kind}")
    shares = 100 * np.array([counts.shares_of(group.rows) for group in found])
    start, colours = np.zeros(len(found)), _colours(counts)
    for i, colour in enumerate(colours):
        axis.barh(np.arange(len(found)), shares[:, i], 0.82, start, color=colour, edgecolor=EDGE, linewidth=0.3)
        start = start + shares[:, i]
    names = [CONTINENTS[g.name] if kind == "continent" else f"{g.name} ({g.continent})" for g in found]
    label_bars(axis, names, [], [])
    axis.tick_params(axis="y", labelsize=8)
    axis.set_xlim(0, 100)
    axis.grid(False)
    axis.set_xlabel("% of labelled pixels")
    axis.set_ylabel(kind)
    legend = zip(counts.classes, colours, strict=True)
    patches = [Patch(facecolor=colour, edgecolor=EDGE, linewidth=0.5, label=name) for name, colour in legend]
    figure.legend(handles=patches, loc="outside lower center", ncols=4)
    return figure


@in_style
def region_figure(groups: Sequence[Group], points: NDArray[np.float64]) -> Figure:
    """Regions as points (G, 2) with one marker per continent (fig. 3); images from xBD are filled white."""
    known = load_regions()
    title = "Regions by the mean features of their images (t-SNE); white: images of xBD"
    figure, (axis,) = figure_and_axes(8, 7, title)
    for code, marker, colour in zip(CONTINENTS, _MARKERS, LINES, strict=True):
        here = [i for i, group in enumerate(groups) if group.continent == code]
        if here:
            faces = ["white" if known[groups[i].name].images_from_xbd else colour for i in here]
            style: dict[str, Any] = {"marker": marker, "s": 38, "zorder": 3}
            axis.scatter(points[here, 0], points[here, 1], c=faces, edgecolors=colour, **style)
            axis.scatter([], [], c=colour, marker=marker, s=38, label=CONTINENTS[code])
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_xlabel("t-SNE, first axis (no unit)")
    axis.set_ylabel("t-SNE, second axis (no unit)")
    axis.margins(0.08)
    figure.legend(loc="outside lower center", ncols=6)
    annotate_points(axis, [group.name for group in groups], points)
    return figure
