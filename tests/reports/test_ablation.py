"""The chart of an ablation shows every prompt kind and class."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsseg.reports.ablation import ablation_figure
from rsseg.reports.figures import save_figure


def _row(mean: float | None) -> dict[str, Any]:
    return {"instances": 3, "without_gt": 1, "mIOU_I": mean, "mIOU_P": mean}


def _result(classes: list[str], means: dict[str, float | None]) -> dict[str, Any]:
    prompts = {
        kind: {"overall": _row(mean), "classes": {name: _row(mean) for name in classes}} for kind, mean in means.items()
    }
    about = {"label_set": "X", "predictor": {"name": "BoxPredictor"}, "images": 2, "samrs_compat_union": False}
    return {**about, "prompts": prompts}


def _draw(result: dict[str, Any], path: Path) -> np.ndarray:
    save_figure(ablation_figure(result), path)
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _count(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((pixels == colour).all(-1).sum())


def test_bars_are_as_long_as_their_values(tmp_path: Path) -> None:
    blue = (0x2F, 0x6D, 0xB5)
    half = _draw(_result(["ship"], {"hbox": 0.5, "cp": 0.25}), tmp_path / "a.png")
    whole = _draw(_result(["ship"], {"hbox": 1.0, "cp": 0.5}), tmp_path / "b.png")
    assert half.shape == whole.shape
    assert _count(whole, blue) == pytest.approx(2 * _count(half, blue), rel=0.05)


def test_classes_have_cells(tmp_path: Path) -> None:
    one = _draw(_result(["ship"], {"hbox": 1.0}), tmp_path / "one.png")
    many = _draw(_result(["ship", "plane", "harbor"], {"hbox": 1.0}), tmp_path / "many.png")
    yellow = (0xFD, 0xE7, 0x24)  # the end of the scale
    assert _count(one, yellow) == 0 and _count(many, yellow) > 1000
    assert many.shape[1] > one.shape[1]


def test_same_bytes_and_no_leftovers(tmp_path: Path) -> None:
    result = _result(["ship", "plane"], {"hbox": 0.5, "cp": None})
    for name in ("a.png", "b.png"):
        save_figure(ablation_figure(result), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]
