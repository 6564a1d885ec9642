"""Fixtures for all tests: where the repository and the real samples are, and how to run a tool."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]

# Before cv2 and any worker starts: GeoTIFF tags are no news, and one thread per process is fastest.
os.environ["OPENCV_LOG_LEVEL"] = "ERROR"
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure() -> None:
    """One thread for torch, where it is installed."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)


@pytest.fixture
def mmseg_scope() -> None:
    """Let names in configs mean mmseg's registries, as the runner does."""
    from mmengine.registry import init_default_scope

    init_default_scope("mmseg")


@pytest.fixture(scope="session")
def repo() -> Path:
    """Root of the checkout."""
    return REPO


@pytest.fixture(scope="session")
def samples() -> Path:
    """Folder of real samples; the test is skipped where there is none."""
    told = os.environ.get("RSSEG_SAMPLES")
    folder = Path(told) if told else REPO.parent / "shared" / "data"
    if not folder.is_dir():
        where = "$RSSEG_SAMPLES" if told else "../shared/data (and $RSSEG_SAMPLES is not set)"
        pytest.skip(f"no real samples: {where} is no folder")
    return folder.resolve()


@pytest.fixture
def run_tool(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call a tool as a user does: ``run_tool("train", "config.py", "--amp", cwd=..., env=..., timeout=600)``.

    The tool runs in ``cwd`` (default ``tmp_path``) with this checkout on its path and one OMP thread; the
    result carries ``returncode``, ``stdout`` and ``stderr`` as text.
    """

    def run(
        name: str,
        *args: object,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        timeout: float = 600,
    ) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(filter(None, [str(REPO), os.environ.get("PYTHONPATH")]))
        return subprocess.run(
            [sys.executable, str(REPO / "tools" / f"{name.removesuffix('.py')}.py"), *map(str, args)],
            cwd=cwd or tmp_path,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **(env or {})},
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def converted_set() -> Callable[..., Path]:
    """Write a small converted dataset (DESIGN's layout): coloured squares on grey, 255 elsewhere.

    ``converted_set(folder, classes=18, count=8, size=64)``; every fourth tile is in the val split.
    """

    def write(folder: Path, classes: int, count: int = 8, size: int = 64) -> Path:
        import csv

        import numpy as np
        from PIL import Image

        rng = np.random.default_rng(classes)
        rows = []
        for name in ("images", "gray"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            labels = np.full((size, size), 255, np.uint8)
            pixels = rng.integers(90, 110, (size, size, 3)).astype(np.uint8)
            for _ in range(4):
                train_id, (y, x) = int(rng.integers(classes)), rng.integers(0, size - 20, 2)
                labels[y : y + 20, x : x + 20] = train_id
                pixels[y : y + 20, x : x + 20] = train_id * 23 % 256, train_id * 57 % 256, train_id * 101 % 256
            Image.fromarray(pixels).save(folder / "images" / f"t{i}.png")
            Image.fromarray(labels).save(folder / "gray" / f"t{i}.png")
            rows.append([f"t{i}", f"s{i}.png", 0, 0, size, size, "train" if i % 4 else "val"])
        with (folder / "tiles.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["tile", "source", "x", "y", "width", "height", "split"], *rows])
        return folder

    return write
