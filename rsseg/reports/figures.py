"""What all figures share: their look, their frame, and how they are saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rsseg.io.files import replacing

__all__ = [
    "BAR", "EDGE", "INK", "LINES", "empty_figure", "figure_and_axes", "in_style", "label_bars",
    "logarithmic_counts", "palette_colours", "save_figure", "short_number", "whole_numbers",
]  # fmt: skip

BAR, EDGE, INK = "#2f6db5", "#59616d", "#1c2430"
LINES = (BAR, "#e9a23b", "#3c8d53", "#b0413e", "#7a5ba8", "#4a525e")
_STYLE: dict[Any, Any] = {
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
    "text.color": INK,
    "axes.labelcolor": "#4a525e",
    "figure.facecolor": "white",
    "legend.frameon": False,
    "legend.fontsize": 8,
}

P = ParamSpec("P")


def in_style(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a function that returns a figure, so that it draws in the common look."""

    @wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return styled


def figure_and_axes(
    width: float, height: float, title: str, columns: int = 1, rows: int = 1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """An empty figure whose parts are laid out without overlap.

    Args:
        width: In inches.
        height: In inches.
        title: What stands above all axes, at the left.
        columns: Axes in a row.
        rows: Rows of axes.
        options: Of ``Figure.subplots``.

    Returns:
        The figure, and its axes row by row.
    """
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options).ravel().tolist()
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure, axes


def empty_figure(title: str, text: str) -> Figure:
    """A small figure that says why there is nothing to draw."""
    figure, (axis,) = figure_and_axes(6, 1.4, title)
    axis.set_axis_off()
    axis.text(0, 0.5, text, transform=axis.transAxes, va="center", color=EDGE)
    return figure


def short_number(value: float) -> str:
    """A number in at most four characters and a unit: 950, 12.3k, 4.56M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def logarithmic_counts(axis: Axes, end: float) -> None:
    """Make the x axis logarithmic, with 0 and whole numbers on it."""
    axis.set_xscale("symlog", linthresh=1)
    axis.set_xlim(0, max(end, 30))
    axis.xaxis.set_major_formatter(lambda value, _: short_number(value))


def whole_numbers(axis: Axes, which: Literal["x", "y"]) -> None:
    """Give an axis of counts no ticks between whole numbers."""
    part = axis.xaxis if which == "x" else axis.yaxis
    part.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def label_bars(axis: Axes, names: Sequence[str], lengths: Sequence[float], texts: Sequence[str]) -> None:
    """Name horizontal bars, the first on top, and write a text at the end of each."""
    for i, (length, text) in enumerate(zip(lengths, texts, strict=True)):
        axis.annotate(text, (length, i), (3, 0), textcoords="offset points", va="center", fontsize=7.5)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.grid(False, axis="y")


def palette_colours(palette: Sequence[Sequence[int]]) -> list[tuple[float, ...]]:
    """RGB in 0..255 as matplotlib has it, 0..1."""
    return [tuple(value / 255 for value in colour) for colour in palette]


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG: the file is replaced as a whole, with the same bytes for the same figure.

    Raises:
        OSError: The file cannot be written; the message names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(_STYLE), replacing(path) as file:
        figure.savefig(file, format="png", metadata={"Software": None})
