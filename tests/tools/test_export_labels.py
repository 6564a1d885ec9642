"""``tools/export_labels.py`` as a user calls it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from rsseg.datasets.labels import PickledObject, pack_objects

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_released_set_to_yolo_and_coco(tmp_path: Path, run_tool: Run) -> None:
    base = tmp_path / "dotav2_1024/trainval"
    for folder in ("images", "hbox_segs_init/gray", "hbox_segs_init/ins"):
        (base / folder).mkdir(parents=True)
    Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(base / "images/P1_0000.png")
    Image.fromarray(np.full((3, 4), 255, np.uint8)).save(base / "hbox_segs_init/gray/P1_0000.png")
    mask = {"size": [3, 4], "counts": "525"}  # column 1, row 2 and column 2, row 0
    ship = PickledObject(mask, "ship", 5, 2, np.array([1.0, 0, 3, 3]))
    (base / "hbox_segs_init/ins/P1_0000.pkl").write_bytes(pack_objects([ship]))
    result = run_tool("export_labels", base, "--to", "yolo", "coco", "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert "of several parts, joined" in result.stdout and str(tmp_path / "out/instances.json") in result.stdout
    assert (tmp_path / "out/yolo/labels/P1_0000.txt").read_text(encoding="utf-8").startswith("5 ")
    assert (tmp_path / "out/yolo/train.txt").read_text(encoding="utf-8") == "./images/P1_0000.png\n"
    wrong = run_tool("export_labels", tmp_path, "--to", "pkl")
    assert wrong.returncode == 1 and wrong.stderr.startswith("FileNotFoundError:") and "Traceback" not in wrong.stderr
