"""Figures of a BigEarthNet archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rsseg.metainfo import load_metainfo
from rsseg.reports.figures import (
    BAR,
    EDGE,
    figure_and_axes,
    in_style,
    label_bars,
    logarithmic_counts,
    palette_colours,
    whole_numbers,
)

__all__ = ["FIGURES"]

_SEASONS = {"winter": "#6f9fd8", "spring": "#6fb06a", "summer": "#e0a83c", "autumn": "#b5673a"}

Tables = Mapping[str, tuple[list[str], list[list[Any]]]]


def _bars(axis: Axes, names: Sequence[str], values: Sequence[int], colours: Any = BAR) -> None:
    """Horizontal bars with their numbers, the first on top."""
    axis.barh(range(len(names)), values, color=colours, edgecolor=EDGE, linewidth=0.5, height=0.72)
    label_bars(axis, names, values, [f"{value:,}" for value in values])


@in_style
def class_figure(tables: Tables) -> Figure:
    """Images of each class of the finest label set there is, most first, on a logarithmic axis."""
    rows = tables["classes"][1]
    first = rows[0][0] if rows else "level3"
    class_table = load_metainfo("bigearthnet" if first == "level3" else "bigearthnet19")
    chosen = sorted((row for row in rows if row[0] == first), key=lambda row: (-row[3], row[2]))
    figure, (axis,) = figure_and_axes(9.5, 1.2 + 0.2 * len(chosen), "BigEarthNet: images per class")
    colours = palette_colours([class_table.palette[class_table.index(row[2])] for row in chosen])
    names = [row[2] if len(row[2]) < 48 else f"{row[2][:45]}…" for row in chosen]
    _bars(axis, names, [row[3] for row in chosen], colours or BAR)
    logarithmic_counts(axis, max((row[3] for row in chosen), default=1) * 5)
    axis.set_xlabel("images (logarithmic)")
    axis.set_ylabel("class")
    return figure


@in_style
def label_figure(tables: Tables) -> Figure:
    """Images by their number of labels."""
    rows = tables["labels_per_image"][1]
    figure, (axis,) = figure_and_axes(7, 3.4, "BigEarthNet: labels per image")
    axis.bar([row[0] for row in rows], [row[1] for row in rows], color=BAR, width=0.8)
    for number, images, _ in rows:
        axis.annotate(f"{images:,}", (number, images), (0, 2), textcoords="offset points", ha="center", fontsize=7.5)
    axis.set_xticks([row[0] for row in rows])
    axis.grid(False, axis="x")
    axis.set_xlabel("labels of an image")
    axis.set_ylabel("images")
    whole_numbers(axis, "y")
    return figure


@in_style
def date_figure(tables: Tables) -> Figure:
    """Images by month, and their sums by season in the legend."""
    months: Counter[str] = Counter()
    for date, _, images in (row for row in tables["dates"][1] if row[0]):
        months[date[:7]] += images
    season = {date[:7]: name for date, name, _ in tables["dates"][1]}
    totals = {row[0]: row[1] for row in tables["seasons"][1]}
    figure, (axis,) = figure_and_axes(7.5, 3.6, "BigEarthNet: images by month of acquisition")
    names = sorted(months)
    for name, colour in _SEASONS.items():
        own = [i for i, month in enumerate(names) if season[month] == name]
        axis.bar(own, [months[names[i]] for i in own], color=colour, width=0.8, label=f"{name}: {totals[name]:,}")
    axis.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axis.grid(False, axis="x")
    axis.set_xlabel("month")
    axis.set_ylabel("images")
    whole_numbers(axis, "y")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
    return figure


@in_style
def country_figure(tables: Tables) -> Figure:
    """Images by country, most first."""
    rows = sorted(tables["countries"][1], key=lambda row: (-row[1], row[0]))
    figure, (axis,) = figure_and_axes(7, 1.2 + 0.24 * len(rows), "BigEarthNet: images per country")
    _bars(axis, [row[0] for row in rows], [row[1] for row in rows])
    axis.set_xlim(0, max((row[1] for row in rows), default=1) * 1.15)
    axis.set_xlabel("images")
    axis.set_ylabel("country")
    whole_numbers(axis, "x")
    return figure


FIGURES: dict[str, Callable[[Tables], Figure]] = {
    "classes": class_figure,
    "labels_per_image": label_figure,
    "dates": date_figure,
    "countries": country_figure,
}
"""A function from tables to a figure, by the figure's name."""
