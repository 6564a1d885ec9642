"""The chart of a prompt ablation: one pair of bars per prompt kind, and a table of colours per class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rsseg.io.files import replacing

__all__ = ["ablation_chart"]

_COLOURS = {"mIOU_I": "#2f6db5", "mIOU_P": "#e9a23b"}
_NAMES = {"mIOU_I": "mIOU_I, mean over instances", "mIOU_P": "mIOU_P, over summed pixels"}
_ROW_INCHES, _CELL_INCHES = 0.42, 0.62


def ablation_chart(result: dict[str, Any], path: Path) -> None:
    """Draw both means for every prompt kind; with several classes also the mIOU_I of each class.

    Args:
        result: The content of ``ablation.json``.
        path: The PNG to write; the same bytes for the same result.

    Raises:
        OSError: It cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    kinds = result["prompts"]
    classes = list(dict.fromkeys(name for scores in kinds.values() for name in scores["classes"]))
    several = len(classes) > 1
    width = 6.5 + (1.2 + _CELL_INCHES * len(classes) if several else 0)
    figure = Figure(figsize=(width, 2.2 + _ROW_INCHES * len(kinds) + (0.6 if several else 0)), layout="constrained")
    FigureCanvasAgg(figure)
    ratios = [5, width - 6.5 + 1] if several else [1]
    axes = figure.subplots(1, len(ratios), width_ratios=ratios, squeeze=False)[0]
    _bars(axes[0], kinds)
    if several:
        _cells(axes[1], kinds, classes)
    figure.legend(loc="outside lower left", ncols=2, fontsize=8, frameon=False)
    overall = next(iter(kinds.values()))["overall"]
    rule = "counted as IoU 0" if result["samrs_compat_union"] else "left out"
    missing = f", {overall['without_gt']} without truth pixels {rule}" if overall["without_gt"] else ""
    counted = f"{overall['instances']} instances of {result['images']} images{missing}"
    title = f"{result['label_set']}, {result['predictor']['name']}: masks against ground truth"
    figure.suptitle(f"{title}\n{counted}", x=0.01, ha="left", fontsize=10)
    with replacing(path, "merge") as file:
        figure.savefig(file, format="png", dpi=130, metadata={"Software": None})


def _bars(axes: Any, kinds: dict[str, Any]) -> None:
    places = np.arange(len(kinds))
    for shift, (key, colour) in zip((-0.2, 0.2), _COLOURS.items(), strict=True):
        values = [scores["overall"][key] for scores in kinds.values()]
        bars = axes.barh(places + shift, [value or 0 for value in values], 0.38, color=colour, label=_NAMES[key])
        texts = ["none" if value is None else f"{value:.3f}" for value in values]
        axes.bar_label(bars, texts, padding=3, fontsize=8)
    axes.set_yticks(places, list(kinds), fontsize=9)
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    axes.set_xlim(0, 1.12)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_title("all classes", fontsize=9)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _cells(axes: Any, kinds: dict[str, Any], classes: list[str]) -> None:
    nothing = {"mIOU_I": None}
    rows = [[scores["classes"].get(name, nothing)["mIOU_I"] for name in classes] for scores in kinds.values()]
    values = np.array([[np.nan if value is None else value for value in row] for row in rows])
    axes.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            text, colour = ("–", "#555555") if value is None else (f"{value:.2f}", "white" if value < 0.6 else "black")
            axes.text(j, i, text, ha="center", va="center", fontsize=7.5, color=colour)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", fontsize=8)
    axes.set_yticks([])
    axes.set_title("mIOU_I per class", fontsize=9)
    axes.spines[:].set_visible(False)
