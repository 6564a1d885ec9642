"""The command: a converted set in, a report beside it; errors that say what to do."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from rsseg.conversion import convert_labels

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
