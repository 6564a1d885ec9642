"""Figures of land-cover counts and of regions' similarity.

Source: OpenEarthMap paper, fig. 2 (images per continent), fig. 3 (regions by t-SNE), fig. 4 (class proportions,
segments per image).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from rsseg.datasets.openearthmap.regions import CONTINENTS, load_regions
from rsseg.io.files import replacing
from rsseg.metainfo import list_metainfo, load_metainfo
from rsseg.reports.figures import STYLE
from rsseg.reports.land_cover.counts import Group, LabelCounts

__all__ = [
    "draw_class_shares",
    "draw_continents",
    "draw_mix",
    "draw_points",
    "draw_segments",
]

_EDGE, _MARKERS = "#59616d", "osD^vP"
_LINES = ("#2f6db5", "#e9a23b", "#3c8d53", "#b0413e", "#7a5ba8")


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as file:
        figure.savefig(file, format="png", metadata={"Software": None})


def _colours(counts: LabelCounts) -> list[Any]:
    if counts.name in list_metainfo():
        return [tuple(v / 255 for v in colour) for colour in load_metainfo(counts.name).palette]
    palette = matplotlib.colormaps["tab20"].colors  # type: ignore[attr-defined]
    return [palette[i % len(palette)] for i in range(len(counts.classes))]


def _legend(figure: Figure, counts: LabelCounts) -> None:
    patches = [
        Patch(facecolor=colour, edgecolor=_EDGE, linewidth=0.5, label=name)
        for name, colour in zip(counts.classes, _colours(counts), strict=True)
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=4, frameon=False, fontsize=8)


def draw_class_shares(sets: Sequence[LabelCounts], path: Path) -> None:
    """Share of each class in the labelled pixels, one panel per set (fig. 4a)."""
    with matplotlib.rc_context(STYLE):
        width, most = 3.4 * len(sets) + 1.2, max(len(counts.classes) for counts in sets)
        figure = Figure(figsize=(max(width, 5), 1.2 + 0.28 * most), dpi=150, layout="constrained")
        for axis, counts in zip(figure.subplots(1, len(sets), squeeze=False)[0], sets, strict=True):
            place, shares = np.arange(len(counts.classes)), 100 * counts.shares
            axis.barh(place, shares, color=_colours(counts), edgecolor=_EDGE, linewidth=0.5, height=0.72)
            axis.set_yticks(place, counts.classes)
            axis.set_ylim(len(place) - 0.5, -0.5)
            axis.set_xlim(0, max(float(shares.max()), 1) * 1.2)
            axis.grid(False, axis="y")
            axis.set_title(f"{counts.name}, {len(counts.files)} images")
            axis.set_xlabel("% of labelled pixels")
            for i, value in enumerate(shares):
                axis.annotate(f"{value:.1f}", (value, i), (3, 0), textcoords="offset points", va="center", fontsize=8)
        _save(figure, path)


def draw_segments(sets: Sequence[LabelCounts], path: Path) -> None:
    """Share of images by their number of segments, one line per set (fig. 4b)."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.5, 3.4), dpi=150, layout="constrained")
        axis = figure.subplots()
        numbers = [counts.segments.sum(1) for counts in sets]
        high = max(int(values.max(initial=1)) for values in numbers)
        edges = np.linspace(0, high + 1, min(high + 1, 40) + 1)
        for counts, values, colour in zip(sets, numbers, np.resize(_LINES, len(sets)), strict=True):
            heights = np.histogram(values, edges)[0] / max(len(values), 1)
            label = f"{counts.name}: mean {values.mean() if len(values) else 0:.0f}"
            axis.stairs(heights, edges, color=colour, linewidth=1.6, label=label, fill=len(sets) == 1)
        axis.set_xlim(0, edges[-1])
        axis.set_ylim(0)
        axis.set_xlabel("segments in an image")
        axis.set_ylabel("share of images")
        axis.legend(frameon=False)
        _save(figure, path)


def draw_continents(counts: LabelCounts, groups: Sequence[Group], path: Path) -> None:
    """Images per continent, those of xBD apart (fig. 2)."""
    known = load_regions()
    with matplotlib.rc_context(STYLE):
        found = [group for group in groups if group.kind == "continent"]
        figure = Figure(figsize=(6.5, 3.2), dpi=150, layout="constrained")
        axis = figure.subplots()
        totals = np.array([len(group.rows) for group in found])
        regions = [[known[counts.images[row].stem.rpartition("_")[0]] for row in group.rows] for group in found]
        xbd = np.array([sum(region.images_from_xbd for region in names) for names in regions])
        place = np.arange(len(found))
        axis.bar(place, totals - xbd, width=0.66, color=_LINES[0], label="in the release")
        axis.bar(place, xbd, width=0.66, bottom=totals - xbd, color=_LINES[1], label="from xBD")
        for i, total in enumerate(totals.tolist()):
            axis.annotate(str(total), (i, total), (0, 2), textcoords="offset points", ha="center", fontsize=8)
        axis.set_xticks(place, [CONTINENTS[group.name] for group in found])
        axis.grid(False, axis="x")
        axis.set_ylabel("images")
        axis.legend(frameon=False)
        _save(figure, path)


def draw_mix(counts: LabelCounts, groups: Sequence[Group], kind: str, path: Path) -> None:
    """Class mix of every region or continent, as one stacked bar each."""
    with matplotlib.rc_context(STYLE):
        found = [group for group in groups if group.kind == kind]
        figure = Figure(figsize=(7.5, 1.5 + 0.2 * len(found)), dpi=150, layout="constrained")
        axis = figure.subplots()
        shares = 100 * np.array([counts.shares_of(group.rows) for group in found])
        start = np.zeros(len(found))
        for i, colour in enumerate(_colours(counts)):
            axis.barh(np.arange(len(found)), shares[:, i], 0.82, start, color=colour, edgecolor=_EDGE, linewidth=0.3)
            start = start + shares[:, i]
        names = [CONTINENTS[g.name] if kind == "continent" else f"{g.name} ({g.continent})" for g in found]
        axis.set_yticks(np.arange(len(found)), names, fontsize=8)
        axis.set_ylim(len(found) - 0.5, -0.5)
        axis.set_xlim(0, 100)
        axis.grid(False)
        axis.set_xlabel("% of labelled pixels")
        _legend(figure, counts)
        _save(figure, path)


def draw_points(groups: Sequence[Group], points: NDArray[np.float64], path: Path) -> None:
    """Regions as points (G, 2) with one marker per continent (fig. 3); images from xBD are filled lighter."""
    known = load_regions()
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 6.5), dpi=150, layout="constrained")
        axis = figure.subplots()
        for code, marker, colour in zip(CONTINENTS, _MARKERS, (*_LINES, "#4a525e"), strict=True):
            here = [i for i, group in enumerate(groups) if group.continent == code]
            if here:
                faces = ["white" if known[groups[i].name].images_from_xbd else colour for i in here]
                axis.scatter(
                    points[here, 0], points[here, 1], c=faces, edgecolors=colour, marker=marker, s=38, zorder=3
                )
                axis.scatter([], [], c=colour, marker=marker, s=38, label=CONTINENTS[code])
        for group, (x, y) in zip(groups, points, strict=True):
            axis.annotate(group.name, (x, y), (4, 3), textcoords="offset points", fontsize=6.5)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_title("regions by the mean features of their images (t-SNE); white: images of xBD")
        axis.legend(frameon=False, fontsize=8)
        _save(figure, path)
