"""The command: a converted set in, a report beside it; errors that say what to do."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from rsseg.conversion import convert_labels
from rsseg.datasets.labels.statistics import Statistics
from rsseg.metainfo import load_metainfo
from rsseg.reports.labels.figures import sets_class_figure, sets_size_figure

REPO = Path(__file__).resolve().parents[2]


def _config(folder: Path) -> dict[str, Any]:
    """Cut into tiles, boxes filled."""
    config = Config.fromfile(REPO / "configs" / "_base_" / "convert.py").to_dict()
    places = {"images": str(folder / "images"), "annotations": str(folder / "labelTxt")}
    config |= {"source": {"format": "dota", "classes": "sota", **places}, "out_dir": str(folder / "out")}
    return config | {"predictor": "box", "tiling": {"size": 48, "overlap": 16, "iof_thr": 0.6}}


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    """A real conversion of one DOTA image with three boxes."""
    for name in ("images", "labelTxt"):
        (tmp_path / name).mkdir()
    Image.fromarray(np.zeros((60, 100, 3), np.uint8)).save(tmp_path / "images" / "P1.png")
    boxes = [("ship", 5, 5, 25, 15), ("plane", 50, 20, 70, 40), ("ship", 30, 30, 60, 40)]
    lines = [f"{x1} {y1} {x2} {y1} {x2} {y2} {x1} {y2} {name} 0" for name, x1, y1, x2, y2 in boxes]
    (tmp_path / "labelTxt" / "P1.txt").write_text("\n".join(lines) + "\n")
    convert_labels(_config(tmp_path))
    return tmp_path / "out"


def test_report_on_a_conversion(converted, run_tool):
    result = run_tool("report_labels", converted, "--gallery", 2)
    assert result.returncode == 0, result.stderr
    totals = json.loads((converted / "report" / "totals.json").read_text())
    manifest = json.loads((converted / "manifest.json").read_text())
    assert totals["set"] == "SOTA" and totals["tiles"] == manifest["counts"]["tiles"]
    assert totals["instances"] == manifest["counts"]["instances"] and totals["empty_masks"] == 0
    assert totals["median_mask_to_box"] == pytest.approx(1, abs=0.02) and totals["score"] == "mask_to_box"
    page = (converted / "report" / "report.html").read_text()
    assert page.count('<figure class="card"') == page.count("<img ") > 0
    assert "BoxPredictor" in page and totals["problems"] == []
    assert "typical size" in page


def test_no_old_report_stays_beside_new_labels(converted, caplog):
    (converted / "report").mkdir()
    for name in ("report.html", "totals.json"):
        (converted / "report" / name).write_text("{}")
    config = _config(converted.parent)
    labels = converted.parent / "labelTxt" / "P1.txt"
    labels.write_text(labels.read_text().replace("50 20 70 20", "50 20 71 20"))
    convert_labels(config, update=True)
    assert "report describes the labels as they were before; write it anew" in caplog.text
    assert (converted / "report" / "report.html").is_file()
    convert_labels(config, overwrite=True)
    assert not (converted / "report").exists() and (converted / "gray").is_dir()


def test_a_folder_without_labels_is_refused(tmp_path, run_tool):
    result = run_tool("report_labels", tmp_path / "nothing")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr and "nothing" in result.stderr


def test_several_sets_side_by_side(converted: Path, tmp_path: Path, run_tool: Any) -> None:
    second = {**_config(tmp_path), "out_dir": str(tmp_path / "second"), "tiling": {"size": 60, "overlap": 0}}
    convert_labels(second)
    result = run_tool("report_labels", converted, tmp_path / "second")
    assert result.returncode == 1 and "requires --out" in result.stderr
    out = tmp_path / "sets"
    result = run_tool("report_labels", converted, tmp_path / "second", "--out", out, "--gallery", 1, "--json")
    assert result.returncode == 0, result.stderr
    totals = json.loads(result.stdout)
    assert list(totals) == ["out", "second"], "both are of SOTA: the names are those of the folders"
    lines = (out / "sets.csv").read_text().splitlines()
    assert lines[0] == "set,tiles,instances,small,medium,large"
    assert lines[2].startswith(f"second,{totals['second']['tiles']},{totals['second']['instances']},")
    for name in ("sets_classes.png", "sets_mask_sizes.png", "out/report.html", "second/report.html"):
        assert (out / name).stat().st_size > 1000


def test_a_column_for_each_set() -> None:
    first, second = Statistics(["ship", "plane"]), Statistics(["van"])
    first.label_pixels[:] = [10, 1000, 5]
    first.instances[:] = [1, 2]
    second.sizes[0, 4] = 3
    tables = [load_metainfo("hrsc"), load_metainfo("hrsc")]
    sets: Any = {"SOTA": (first, _Classes(tables[0], 2)), "FAST": (second, _Classes(tables[1], 1))}
    figure = sets_class_figure(sets)
    assert [bar.get_height() for bar in figure.axes[0].patches] == [10, 1000]
    assert [bar.get_height() for bar in figure.axes[2].patches] == [1, 2]
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["SOTA", "FAST", "", ""]
    figure = sets_size_figure(sets)
    assert [patch.get_height() for patch in figure.axes[1].patches] == [3]


class _Classes:
    """Names and colours of some classes."""

    def __init__(self, table: Any, count: int) -> None:
        self.classes, self.palette = [f"c{i}" for i in range(count)], [table.palette[0]] * count
