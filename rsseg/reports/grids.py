"""Figures of a grid of experiments: means with bands over shares of the labels or over training, and pairs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rsseg.errors import ConfigError
from rsseg.io.tables import read_csv
from rsseg.reports.figures import EDGE, INK, LINES, figure_and_axes, in_style, save_figure
from rsseg.reports.methods import write_method_figure

__all__ = ["curve_figure", "line_figure", "pair_figure", "write_grid_figures"]

Series = Mapping[str, Mapping[float, Sequence[float]]]
"""Row -> x -> values of the seeds."""


def _band(axis: Axes, values: Mapping[float, Sequence[float]], colour: Any, name: str, marker: str) -> None:
    """A line through the means, and a band of one standard deviation on each side."""
    x = [key for key in sorted(values) if values[key]]
    mean = np.array([statistics.fmean(values[key]) for key in x])
    spread = np.array([statistics.stdev(values[key]) if len(values[key]) > 1 else 0.0 for key in x])
    axis.plot(x, mean, color=colour, marker=marker, markersize=4, label=name)
    axis.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)


@in_style
def line_figure(
    panels: Mapping[str, Series], title: str, xlabel: str, references: Mapping[str, Mapping[str, float]] | None = None
) -> Figure:
    """Scores over something that grows: a panel for each score, a line with a band for each row.

    Args:
        panels: Score -> its series.
        title: What stands above.
        xlabel: What grows.
        references: Name -> score -> value, drawn as a broken line.
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = figure_and_axes(1 + 3.4 * columns, 0.9 + 2.4 * rows, title, columns, rows)
    for axis, (name, series) in zip(axes, panels.items(), strict=False):
        for i, (row, values) in enumerate(series.items()):
            _band(axis, values, LINES[i % len(LINES)], row, "o")
        for reference, values_of in (references or {}).items():
            if name in values_of:
                axis.axhline(values_of[name], color=EDGE, linestyle="--", linewidth=1.2, label=reference)
        axis.set_ylabel(name.removeprefix("IoU/"))
        axis.set_xlabel(xlabel)
    for axis in axes[len(panels) :]:
        axis.remove()
    axes[0].legend()
    return figure


@in_style
def curve_figure(panels: Mapping[str, Series], title: str, metric: str) -> Figure:
    """Validation scores while rows are trained: a panel for each column, means and a band of one standard deviation."""
    figure, axes = figure_and_axes(1 + 4.2 * len(panels), 3.6, title, len(panels), sharey=True)
    for axis, (column, series) in zip(axes, panels.items(), strict=True):
        for i, (row, values) in enumerate(series.items()):
            _band(axis, values, LINES[i % len(LINES)], row, ".")
        axis.set_title(column)
        axis.set_xlabel("iteration or epoch")
    axes[0].set_ylabel(f"{metric}, mean ± standard deviation")
    axes[0].legend()
    return figure


@in_style
def pair_figure(scores: Mapping[str, Mapping[tuple[str, str], float]], title: str) -> Figure:
    """From each source to each target: a matrix for each row, with the mean over seeds in its cells.

    Args:
        scores: Row -> (source, target) -> score.
        title: What stands above.
    """
    names = list(dict.fromkeys(name for own in scores.values() for pair in own for name in pair))
    values = [value for own in scores.values() for value in own.values()] or [0.0]
    size = len(names)
    figure, axes = figure_and_axes((0.9 + 0.5 * size) * len(scores), 1.3 + 0.5 * size, title, len(scores))
    low, high = min(values), max(values)
    for axis, (row, own) in zip(axes, scores.items(), strict=True):
        matrix = np.full((size, size), np.nan)
        for (source, target), value in own.items():
            matrix[names.index(source), names.index(target)] = value
        axis.imshow(matrix, cmap="Blues", vmin=low, vmax=max(high, low + 1e-9))
        axis.grid(False)
        for (y, x), value in np.ndenumerate(matrix):
            if not np.isnan(value):
                colour = "white" if value > low + 0.6 * (high - low) else INK
                axis.text(x, y, f"{value:.1f}", ha="center", va="center", fontsize=7, color=colour)
        turned: dict[str, Any] = (
            {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if max(map(len, names)) > 3 else {}
        )
        axis.set_xticks(range(size), names, **turned)
        axis.set_yticks(range(size), names)
        axis.set_title(row)
        axis.set_xlabel("target")
    axes[0].set_ylabel("source")
    return figure


def write_grid_figures(figures: Sequence[Mapping[str, Any]], results: Mapping[str, Any], out: Path) -> list[Path]:
    """Draw what a grid asks for; a figure without any result is left out.

    Args:
        figures: Each with ``kind``: ``lines`` (``x``: a number for each column; ``xlabel``; ``scores``; ``references``:
            name -> ``classes.csv`` of ``rsseg compare``, such as that of two annotators), ``curves`` (scores of
            validations), ``pairs`` (columns are called ``SOURCE-TARGET``), ``maps`` (predictions of each row).
        results: As :meth:`rsseg.experiments.tables.Results.document` gives them.
        out: Folder of the figures.

    Returns:
        The files: ``lines.png``, ``curves.png``, ``pairs.png``, ``maps.png``.

    Raises:
        ConfigError: A figure has another kind.
        OSError: A file cannot be written; the message names it.
    """
    written = []
    for asked in figures:
        kind, path = asked.get("kind"), out / f"{asked.get('kind')}.png"
        if kind == "maps":
            _maps(results, path)
        elif kind not in ("lines", "curves", "pairs"):
            raise ConfigError(f"figures: unknown kind {kind!r}; expected one of: lines, curves, pairs, maps")
        elif any(run["scores"] for run in results["runs"]):
            draw = {"lines": _lines, "curves": _curves, "pairs": _pairs}[kind]
            save_figure(draw(asked, results), path)
        written += [path] if path.is_file() else []
    return written


def _finished(results: Mapping[str, Any], row: str) -> Iterator[Mapping[str, Any]]:
    return (run for run in results["runs"] if run["row"] == row and run["scores"] is not None)


def _lines(asked: Mapping[str, Any], results: Mapping[str, Any]) -> Figure:
    x = dict(zip(results["columns"], map(float, asked["x"]), strict=True))
    panels: dict[str, dict[str, dict[float, list[float]]]] = {}
    for key in asked.get("scores", [results["metric"]]):
        for row in results["rows"]:
            for run in _finished(results, row):
                for name, value in run["scores"].items():
                    if name == key or (key.endswith("/*") and name.startswith(key[:-1])):
                        values = panels.setdefault(name, {}).setdefault(row, {}).setdefault(x[run["column"]], [])
                        values.append(value)
    references = {name: _reference(Path(path)) for name, path in asked.get("references", {}).items()
                  if Path(path).is_file()}  # fmt: skip
    return line_figure(panels, results["title"], asked.get("xlabel", ""), references)


def _reference(path: Path) -> dict[str, float]:
    """IoU of each class, and their mean, in percent, from a comparison of two folders of labels."""
    rows = {row["class"]: row["IoU"] for _, row in read_csv(path, ("class", "IoU"))}
    found = {f"IoU/{name}": 100 * float(value) for name, value in rows.items() if value}
    return {**found, "mIoU": statistics.fmean(found.values())} if found else {}


def _curves(asked: Mapping[str, Any], results: Mapping[str, Any]) -> Figure:
    panels: dict[str, dict[str, dict[float, list[float]]]] = {}
    for column in results["columns"]:
        for row in results["rows"]:
            for run in _finished(results, row):
                if run["column"] == column:
                    for step, value in (run["curve"] or {}).items():
                        series = panels.setdefault(column, {}).setdefault(row, {})
                        series.setdefault(float(step), []).append(value)
    return curve_figure(panels or {"": {}}, results["title"], results["metric"])


def _pairs(asked: Mapping[str, Any], results: Mapping[str, Any]) -> Figure:
    found: dict[str, dict[tuple[str, str], list[float]]] = {row: {} for row in results["rows"]}
    for row in results["rows"]:
        for run in _finished(results, row):
            source, _, target = run["column"].partition("-")
            if results["metric"] in run["scores"]:
                found[row].setdefault((source, target), []).append(run["scores"][results["metric"]])
    means = {row: {pair: statistics.fmean(values) for pair, values in own.items()} for row, own in found.items()}
    return pair_figure(means, f"{results['title']}: {results['metric']}")


def _maps(results: Mapping[str, Any], path: Path) -> None:
    first: dict[str, Mapping[str, Any]] = {}
    for run in results["runs"]:
        first.setdefault(run["row"], run)
    runs = list(first.values())
    folders = {run["row"]: Path(run["folder"]) / "maps" for run in runs}
    write_method_figure(folders, runs[0]["config"], path, runs[0]["options"])
