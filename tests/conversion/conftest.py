"""A small world for conversions: three DOTA images whose objects are coloured rectangles."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

REPO = Path(__file__).resolve().parents[2]

# Image -> (height, width) and its objects: class, x1, y1, x2, y2.
WORLD: dict[str, tuple[tuple[int, int], list[tuple[str, int, int, int, int]]]] = {
    "P0001": ((60, 100), [("ship", 5, 5, 25, 15), ("plane", 50, 20, 70, 40), ("ship", 30, 30, 60, 40)]),
    "P0002": ((50, 50), [("harbor", 10, 10, 40, 40), ("ship", 20, 20, 30, 30)]),
    "P0003": ((40, 60), []),
    "P0004": ((64, 64), [("plane", 8, 8, 24, 24)]),
}


def write_world(root: Path) -> None:
    """Images and labelTxt of ``WORLD``."""
    rng = np.random.default_rng(0)
    for name in ("images", "labelTxt"):
        (root / name).mkdir(parents=True)
    for stem, (size, objects) in WORLD.items():
        image = rng.integers(60, 90, (*size, 3), dtype=np.uint8)
        lines = ["imagesource:test", "gsd:0.5"]
        for name, x1, y1, x2, y2 in objects:
            image[y1:y2, x1:x2] = 200
            lines.append(f"{x1} {y1} {x2} {y1} {x2} {y2} {x1} {y2} {name} 0")
        Image.fromarray(image).save(root / "images" / f"{stem}.png")
        (root / "labelTxt" / f"{stem}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """Folder with ``images`` and ``labelTxt``."""
    write_world(tmp_path / "world")
    return tmp_path / "world"


@pytest.fixture
def make_config(world: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A conversion config on the world: ``make_config(out_name, **changes)``."""

    def make(name: str = "out", **changes: Any) -> dict[str, Any]:
        config = Config.fromfile(REPO / "configs" / "_base_" / "convert.py").to_dict()
        source = {"format": "dota", "images": str(world / "images"), "annotations": str(world / "labelTxt")}
        config |= {
            "source": {**source, "classes": "sota"},
            "out_dir": str(tmp_path / name),
            "predictor": "box",
            "tiling": {"size": 48, "overlap": 16, "iof_thr": 0.6},
        }
        return config | changes

    return make


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, hidden ones included."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(name="digests")
def _digests() -> Callable[[Path], dict[str, str]]:
    return digests
