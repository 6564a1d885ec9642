"""Example patches as a page: labels sorted by hand, stretched pictures, and the command on made-up patches."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from rsseg.reports.bigearthnet.examples import choose_patches, patch_picture, sort_labels

NAMES = [f"S2A_MSIL2A_20170617T113321_0_{i}" for i in range(7)]


@pytest.fixture
def archive(tmp_path):
    for i, name in enumerate(NAMES):
        folder = tmp_path / "archive" / name
        folder.mkdir(parents=True)
        (folder / f"{name}_labels_metadata.json").write_text(json.dumps({"labels": ["Pastures"]}))
        for k, band in enumerate(("B02", "B03", "B04")):
            plane = np.full((120, 120), 500 * k + i, np.uint16)
            plane[:60] = 4000
            assert cv2.imwrite(str(folder / f"{name}_{band}.tif"), plane)
    return tmp_path / "archive"


def test_labels_by_hand():
    truth, predicted = np.array([[True, True, False, False], [True, False, True, False]])
    assert sort_labels(truth, predicted, "abcd") == [("right", "a"), ("missed", "b"), ("wrong", "c")]


def test_choice_is_seeded():
    assert choose_patches(NAMES, 3) == choose_patches(NAMES[::-1], 3) and len(choose_patches(NAMES, 3)) == 3
    assert choose_patches(NAMES, 3, 1) != choose_patches(NAMES, 3)


def test_picture_is_stretched(archive):
    picture = patch_picture(archive, "v1", NAMES[0])
    assert picture.shape == (120, 120, 3) and (picture[:60] == 255).all()
    assert picture[80, 80].tolist() == [64, 32, 0]  # 1000, 500 and 0 of 4000


def test_command(run_tool, archive, tmp_path):
    for model, label in (("a", "Pastures"), ("b", "<Water>")):
        (tmp_path / model).mkdir()
        rows = "".join(f"{name},Pastures,{label},0.9,0.1\n" for name in NAMES)
        (tmp_path / model / "predictions.csv").write_text(f"image,labels,predicted,Pastures,<Water>\n{rows}")
    models = ["--model", f"S-CNN={tmp_path / 'a'}", "--model", f"Inception={tmp_path / 'b'}"]
    done = run_tool("report_patches", archive, tmp_path / "out", *models, "--count", 2)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "patches.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 2 and page.count('<li class="right" title="right">Pastures') == 2
    assert page.count('class="missed" title="missed">Pastures') == 2 and "&lt;Water&gt;" in page
    assert "<Water>" not in page and "Inception" in page and 'id="tests"' in page
    assert (tmp_path / "out" / "p_values.csv").is_file() and (tmp_path / "out" / "p_values_classes.csv").is_file()
    done = run_tool("report_patches", archive, tmp_path / "out", "--model", "nothing")
    assert done.returncode == 2 and "expected NAME=FOLDER" in done.stderr
