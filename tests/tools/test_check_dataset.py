"""The dataset check as a user runs it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CONFIG = """
dataset = dict(
    type="LoveDADataset",
    data_root="data",
    data_prefix=dict(img_path="images", seg_map_path="labels"),
    pipeline=[dict(type="LoadImageFromFile"), dict(type="LoadAnnotations")],
)
train_dataloader = dict(dataset=dataset)
"""


@pytest.mark.stack
def test_a_problem_is_shown_and_is_the_exit_status(
    tmp_path: Path, run_tool: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    for i, folder in enumerate(("images", "labels")):
        (tmp_path / "data" / folder).mkdir(parents=True)
        pixels = np.full((4, 4, 3), 7, np.uint8) if i == 0 else np.full((4, 4), 7, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data" / folder / "a.png")
    (tmp_path / "config.py").write_text(CONFIG)
    option = "train_dataloader.dataset.reduce_zero_label=False"
    result = run_tool("check_dataset", "config.py", "--workers", 2, "--cfg-options", option)
    assert result.returncode == 1, result.stderr
    assert "LoveDADataset: train 1 images" in result.stdout
    assert "value 7 is neither a class nor ignored (1)" in result.stdout
    assert "labels may be one higher than stated" in result.stdout
    assert result.stdout.rstrip().endswith("1 problem(s)")
