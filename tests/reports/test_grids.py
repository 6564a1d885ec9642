"""Figures of grids: what they show, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsseg.errors import ConfigError
from rsseg.metainfo import load_metainfo
from rsseg.reports.grids import curve_figure, line_figure, pair_figure, write_grid_figures
from rsseg.reports.methods import method_figure


def test_lines_have_bands_and_references():
    series = {"UPerNet": {10.0: [40.0, 44.0], 100.0: [60.0]}}
    figure = line_figure({"mIoU": series, "IoU/road": series}, "t", "%", {"human": {"mIoU": 55.0}})
    axis = figure.axes[0]
    assert axis.lines[0].get_ydata().tolist() == [42.0, 60.0] and axis.lines[0].get_xdata().tolist() == [10.0, 100.0]
    edges = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert edges.min() == pytest.approx(42 - 8**0.5) and edges.max() == 60
    assert axis.lines[1].get_ydata()[0] == 55.0
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["UPerNet", "human"]
    assert figure.axes[1].get_ylabel() == "road" and len(figure.axes[1].lines) == 1


def test_curves_and_pairs():
    figure = curve_figure({"LoveDA": {"scratch": {2.0: [5.0], 1.0: [4.0]}}}, "t", "mIoU")
    assert figure.axes[0].lines[0].get_ydata().tolist() == [4.0, 5.0]
    figure = pair_figure({"U-Net": {("EU", "NA"): 50.0, ("NA", "EU"): 40.0}}, "t")
    values = figure.axes[0].images[0].get_array()
    assert values[0, 1] == 50 and values[1, 0] == 40 and np.isnan(np.asarray(values)[0, 0])
    assert {text.get_text() for text in figure.axes[0].texts} == {"50.0", "40.0"}


def test_figures_of_a_grid(tmp_path: Path) -> None:
    def run(row: str, column: str, value: float | None) -> dict[str, Any]:
        scores = None if value is None else {"mIoU": value, "IoU/road": value}
        return {
            "row": row,
            "column": column,
            "seed": 0,
            "scores": scores,
            "curve": {"1": 3.0},
            "config": "",
            "folder": "",
        }

    runs = [run("a", "EU-NA", 1.0), run("a", "NA-EU", None)]
    results = {"title": "t", "metric": "mIoU", "rows": ["a"], "columns": ["EU-NA", "NA-EU"], "runs": runs}
    (tmp_path / "classes.csv").write_text("class,IoU\nroad,0.5\nwater,\n")
    lines = dict(kind="lines", x=[1, 2], scores=["mIoU", "IoU/*"], references={"human": tmp_path / "classes.csv"})
    asked: list[dict[str, Any]] = [lines, dict(kind="curves"), dict(kind="pairs")]
    files = write_grid_figures(asked, results, tmp_path / "out")
    assert [path.name for path in files] == ["lines.png", "curves.png", "pairs.png"]
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in files)
    none = {**results, "runs": [run("a", "EU-NA", None)]}
    assert write_grid_figures(asked, none, tmp_path / "none") == []
    with pytest.raises(ConfigError, match="unknown kind 'pie'; expected one of: lines, curves, pairs, maps"):
        write_grid_figures([dict(kind="pie")], results, tmp_path)


def test_figure_has_a_panel_for_each_map():
    table = load_metainfo("openearthmap")
    image, labels = np.zeros((8, 8, 3), np.uint8), np.full((8, 8), 5, np.uint8)
    figure = method_figure([image, image], [labels, labels], {"CBST": [labels, labels]}, table)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["image", "labels", "CBST", "", "", ""]
    colour = figure.axes[2].images[0].get_array()[0, 0]
    assert tuple(colour) == table.palette[4], "value 5 is class 4"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(table.classes)
