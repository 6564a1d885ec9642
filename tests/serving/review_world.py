"""A converted set to review: a few objects in two tiles, with boxes as masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from PIL import Image

from rsseg.conversion import convert_labels

REPO = Path(__file__).resolve().parents[2]
OBJECTS = {
    "P1": [("ship", 5, 5, 45, 25), ("plane", 60, 20, 90, 50), ("ship", 20, 60, 90, 80)],
    "P2": [("harbor", 10, 10, 80, 80), ("ship", 30, 30, 50, 50)],
}
"""Image -> class and box of its objects."""


def review_config(root: Path, out: Path, **changes: Any) -> dict[str, Any]:
    """A config that converts the objects of ``root`` whole, by filled boxes."""
    config: dict[str, Any] = Config.fromfile(REPO / "configs" / "_base_" / "convert.py").to_dict()
    source = {"format": "dota", "classes": "sota"}
    source |= {"images": str(root / "images"), "annotations": str(root / "labels")}
    return {**config, "source": source, "out_dir": str(out), "predictor": "box", "tiling": None, **changes}


def write_set(root: Path, **changes: Any) -> Path:
    """Write images of 100 x 120 pixels with their labels and convert them; the folder of the set."""
    rng = np.random.default_rng(0)
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    for stem, objects in OBJECTS.items():
        image, lines = rng.integers(40, 90, (100, 120, 3), dtype=np.uint8), []
        for name, x1, y1, x2, y2 in objects:
            image[y1:y2, x1:x2] = rng.integers(120, 255, 3)
            lines.append(f"{x1} {y1} {x2} {y1} {x2} {y2} {x1} {y2} {name} 0")
        Image.fromarray(image).save(root / "images" / f"{stem}.png")
        (root / "labels" / f"{stem}.txt").write_text("\n".join(lines) + "\n")
    convert_labels(review_config(root, root / "set", **changes))
    return root / "set"
