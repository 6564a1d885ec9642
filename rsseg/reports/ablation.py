"""The figure of a prompt ablation: one pair of bars per prompt kind, and a table of colours per class."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rsseg.reports.figures import LINES, figure_and_axes, in_style

__all__ = ["ablation_figure"]

_NAMES = {"mIOU_I": "mIOU_I, mean over instances", "mIOU_P": "mIOU_P, over summed pixels"}
_ROW_INCHES, _CELL_INCHES = 0.42, 0.62


@in_style
def ablation_figure(result: dict[str, Any]) -> Figure:
    """Draw both means for every prompt kind; with several classes also the mIOU_I of each class.

    Args:
        result: The content of ``ablation.json``.
    """
    kinds = result["prompts"]
    classes = list(dict.fromkeys(name for scores in kinds.values() for name in scores["classes"]))
    several = len(classes) > 1
    width = 6.5 + (1.2 + _CELL_INCHES * len(classes) if several else 0)
    height = 2.4 + _ROW_INCHES * len(kinds) + (0.6 if several else 0)
    overall = next(iter(kinds.values()))["overall"]
    rule = "counted as IoU 0" if result["samrs_compat_union"] else "left out"
    missing = f", {overall['without_gt']} without ground-truth pixels {rule}" if overall["without_gt"] else ""
    title = f"{result['label_set']}, {result['predictor']['name']}: masks against ground truth"
    counted = f"{overall['instances']} instances of {result['images']} images{missing}"
    ratios = [5, width - 6.5 + 1] if several else [1]
    figure, axes = figure_and_axes(width, height, f"{title}\n{counted}", len(ratios), width_ratios=ratios)
    _bars(axes[0], kinds)
    if several:
        _cells(axes[1], kinds, classes)
    figure.legend(loc="outside lower left", ncols=2)
    return figure


def _bars(axis: Axes, kinds: dict[str, Any]) -> None:
    rows = np.arange(len(kinds))
    for shift, (key, text), colour in zip((-0.2, 0.2), _NAMES.items(), LINES, strict=False):
        values = [scores["overall"][key] for scores in kinds.values()]
        bars = axis.barh(rows + shift, [value or 0 for value in values], 0.38, color=colour, label=text)
        axis.bar_label(bars, ["none" if value is None else f"{value:.3f}" for value in values], padding=3, fontsize=8)
    axis.set_yticks(rows, list(kinds))
    axis.set_ylim(len(kinds) - 0.5, -0.5)
    axis.set_xlim(0, 1.12)
    axis.set_xticks(np.linspace(0, 1, 6))
    axis.set_title("all classes")
    axis.set_xlabel("IoU of masks and ground truth")
    axis.set_ylabel("prompt")
    axis.grid(False, axis="y")
    axis.spines["left"].set_visible(False)
    axis.tick_params(axis="y", length=0)


def _cells(axis: Axes, kinds: dict[str, Any], classes: list[str]) -> None:
    nothing = {"mIOU_I": None}
    rows = [[scores["classes"].get(name, nothing)["mIOU_I"] for name in classes] for scores in kinds.values()]
    values = np.array([[np.nan if value is None else value for value in row] for row in rows])
    axis.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            text, colour = ("–", "#555555") if value is None else (f"{value:.2f}", "white" if value < 0.6 else "black")
            axis.text(j, i, text, ha="center", va="center", fontsize=7.5, color=colour)
    axis.set_xticks(range(len(classes)), classes, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    axis.set_yticks([])
    axis.grid(False)
    axis.set_title("mIOU_I per class")
    axis.set_xlabel("class")
    axis.spines[:].set_visible(False)
