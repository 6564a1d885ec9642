"""A small labelled set in the layout of a conversion, written by hand."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsseg.structures.masks import fill_hbox, to_rle

# Class, mask (x1 y1 x2 y2), prompt box and what else differs from a row of a conversion.
Object = tuple[int, tuple[int, int, int, int], tuple[int, int, int, int], dict[str, Any]]


def annotation(number: int, tile: int, size: tuple[int, int], row: Object) -> dict[str, Any]:
    """A row of instances.json."""
    label, (x1, y1, x2, y2), box, other = row
    area = (x2 - x1) * (y2 - y1)
    around = (box[2] - box[0]) * (box[3] - box[1])
    return {
        "id": number,
        "image_id": tile,
        "category_id": label + 1,
        "iscrowd": 0,
        "segmentation": to_rle(fill_hbox((x1, y1, x2, y2), size), size),
        "bbox": [x1, y1, x2 - x1, y2 - y1] if area else [0, 0, 0, 0],
        "area": area,
        "empty": area == 0,
        "predicted_iou": None,
        "stability": None,
        "mask_to_box": area / around,
        "touches_border": False,
        "prompt_box": list(box),
        "source_object_id": str(number),
        "difficult": False,
        **other,
    }


def write_set(root: Path, tiles: dict[str, list[Object]], classes: list[str], size: tuple[int, int]) -> Path:
    """Write a converted set whose label maps are painted in file order; returns its folder."""
    for name in ("images", "gray"):
        (root / name).mkdir(parents=True)
    colours = ["#FF0000", "#00FF00", "#0000FF", "#FFFF00"]
    rows = [{"id": i, "name": name, "color": colours[i % 4]} for i, name in enumerate(classes)]
    table = root / "table.json"
    table.write_text(json.dumps({"name": "Own <set>", "source": "test", "categories": rows}))
    rng = np.random.default_rng(0)
    annotations, lines = [], [["tile", "source", "x", "y", "width", "height", "split"]]
    for number, (tile, objects) in enumerate(tiles.items(), start=1):
        labels = np.full(size, 255, np.uint8)
        for row in objects:
            x1, y1, x2, y2 = row[1]
            labels[y1:y2, x1:x2] = row[0]
            annotations.append(json.dumps(annotation(len(annotations) + 1, number, size, row)))
        Image.fromarray(labels).save(root / "gray" / f"{tile}.png")
        Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)).save(root / "images" / f"{tile}.png")
        lines.append([tile, f"{tile}.png", "0", "0", str(size[1]), str(size[0]), "train"])
    with (root / "tiles.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    body = ",\n".join(annotations)
    (root / "instances.json").write_text(f'{{"info":{{}},\n"annotations":[\n{body}\n],\n"images":[\n]}}\n')
    config = {"source": {"classes": str(table), "images": str(root / "images")}, "prompt": "hbox"}
    about = {"name": "SAMPredictor", "model": "vit_b", "sha256": "0123456789abcdef0123"}
    (root / "manifest.json").write_text(json.dumps({"config": config, "predictor": about, "versions": {}}))
    return root


@pytest.fixture(name="write_set", scope="session")
def _write_set() -> Callable[..., Path]:
    return write_set
