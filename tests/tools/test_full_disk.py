"""A full disk is one line that names the file, wherever it fills up."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from rsseg.datasets.bigearthnet.band_table import load_bands


def run_with_little_room(process: Any, size: int) -> Any:
    """Let no file of a tool become larger than ``size`` bytes, which a full disk resembles: writing fails half-way."""
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
    return process.wait()


@pytest.mark.slow
def test_training(
    tmp_path: Path, converted_set: Callable[..., Path], start_tool: Callable[..., Any], repo: Path
) -> None:
    for name, classes in {"sota": 18, "sior": 20, "fast": 37}.items():
        converted_set(tmp_path / "data" / "scenes" / name, classes, count=4, size=64)
    options = ["train_cfg.max_iters=2", "default_hooks.checkpoint.interval=1", "train_dataloader.num_workers=0"]
    config = repo / "configs/scenes/upernet_tiny_sep_scenes.py"
    tool = start_tool("train", config, "--work-dir", "out", "--cfg-options", *options, cwd=tmp_path)
    result = run_with_little_room(tool, 2_000_000)
    assert result.returncode == 1 and "Traceback" not in result.stdout + result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last == f"OSError: [Errno 27] cannot write {tmp_path}/out/iter_1.pth: File too large"
    assert not list((tmp_path / "out").glob("*.pth")) and not list((tmp_path / "out").glob(".tmp-*"))


@pytest.mark.stack
def test_packing(tmp_path: Path, start_tool: Callable[..., Any]) -> None:
    pytest.importorskip("lmdb")
    for i in range(2):
        name = f"S2A_MSIL2A_20170617T113321_0_{i}"
        folder = tmp_path / "archive" / "BigEarthNet-v1.0" / name
        folder.mkdir(parents=True)
        (folder / f"{name}_labels_metadata.json").write_text(json.dumps({"labels": ["Pastures"]}))
        for band in load_bands().values():
            if not band.radar:
                cv2.imwrite(str(folder / f"{name}_{band.name}.tif"), np.full((band.side, band.side), i, np.uint16))
    for size in (60_000, 4_000):
        out = tmp_path / f"packed{size}"
        tool = start_tool("pack_bigearthnet", tmp_path / "archive", out, "--workers", 1, cwd=tmp_path)
        result = run_with_little_room(tool, size)
        assert result.returncode == 1 and "Traceback" not in result.stderr
        last = result.stderr.strip().splitlines()[-1]
        assert last.startswith("OSError: ") and f"cannot write {out}" in last, last
        assert "File too large" in last or "perhaps since the disk is full" in last, last
