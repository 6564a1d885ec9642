"""A converted set as numbered objects: their order, where they stand, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsseg.datasets.labels import index as module
from rsseg.datasets.labels.decisions import state_of
from rsseg.datasets.labels.index import ORDERS, InstanceIndex
from rsseg.errors import DataError
from rsseg.io.coco import CocoWriter
from rsseg.metainfo import load_metainfo
from rsseg.structures.masks import MaskCrop, empty_mask, to_rle

CLASSES = load_metainfo("sota").classes
Values = tuple[str, int, float | None, float | None]
"""Class, side of a square mask, predicted IoU and share of its box."""


def write(root: Path, *tiles: Sequence[Values]) -> list[dict[str, Any]]:
    """A converted set by its files; returns the rows of its objects."""
    source = {"images": "images", "annotations": "labels", "classes": "sota", "format": "dota"}
    (root / "manifest.json").write_text(json.dumps({"classes": list(CLASSES), "config": {"source": source}}))
    lines, rows = ["tile,source,x,y,width,height,split"], []
    with (root / "instances.json").open("wb") as file:
        writer = CocoWriter(file, "test", CLASSES)
        for i, tile in enumerate(tiles):
            lines.append(f"t{i},t{i}.png,0,0,20,10,train")
            writer.add_image({"file_name": f"t{i}.png", "width": 20, "height": 10})
            for k, (name, side, iou, ratio) in enumerate(tile):
                mask = MaskCrop(1, 1, np.ones((side, side), bool)) if side else empty_mask()
                row = {"segmentation": to_rle(mask, (10, 20)), "bbox": [1, 1, side, side], "area": side * side,
                       "predicted_iou": iou, "stability": None, "mask_to_box": ratio, "prompt_box": [1.0, 1.0, 9, 9],
                       "source_object_id": str(k + 1)}  # fmt: skip
                writer.add_annotation(CLASSES.index(name), row)
                rows.append(row)
        writer.close()
    (root / "tiles.csv").write_text("\n".join(lines) + "\n")
    return rows


TILES: tuple[Sequence[Values], ...] = (
    [("ship", 3, 0.5, 0.2), ("plane", 0, 0.9, None)],
    [],
    [("ship", 2, 0.1, 0.4), ("ship", 5, 0.8, 1.0), ("ship", 3, 0.5, 0.2)],
)


@pytest.mark.parametrize("block", [50_000, 2])
def test_objects_in_every_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    rows = write(tmp_path, *TILES)
    found = InstanceIndex(tmp_path)
    assert len(found) == 5 and found.score_kind == "predicted_iou"
    assert found.tile.tolist() == [0, 0, 2, 2, 2] and found.area.tolist() == [9, 0, 4, 25, 9]
    orders = {name: found.order(name).tolist() for name in ORDERS}
    assert orders == {
        "suspicious": [1, 2, 0, 4, 3], "score": [3, 0, 4, 2, 1], "small": [1, 2, 0, 4, 3], "large": [3, 0, 4, 2, 1],
        "file": [0, 1, 2, 3, 4],
    }  # fmt: skip
    tile, instance = found.read(3)
    assert (tile.name, instance.source_object_id, instance.area) == ("t2", "2", 25)
    states = [state_of(name, row) for name, row in zip(["ship", "plane", *["ship"] * 3], rows, strict=True)]
    assert found.state.tolist() == [state.encode() for state in states] and states[0] == states[4]
    assert found.find("t0", "1", states[0]) == 0 and found.find("t2", "3", states[0]) == 4
    assert found.find("t2", "2", states[0]) is None and found.find("t0", "1", "0" * 16) is None


def test_without_scores_the_size_is_typical_or_not(tmp_path: Path) -> None:
    ships: list[Values] = [("ship", 2, None, 0.2), ("ship", 3, None, 0.4), ("ship", 4, None, 0.8), ("ship", 5, None, 1)]
    write(tmp_path, ships)
    found = InstanceIndex(tmp_path)
    assert found.score_kind == "mask_to_box"
    assert found.score[:3].tolist() == pytest.approx([0.5, 1, 0.5]) and np.isnan(found.score[3])
    assert found.order("suspicious").tolist() == [3, 0, 2, 1]
    write(tmp_path)
    assert len(InstanceIndex(tmp_path)) == 0


def test_what_is_refused(tmp_path: Path) -> None:
    write(tmp_path, *TILES)
    found = InstanceIndex(tmp_path)
    with pytest.raises(LookupError, match="there is no object 5; there are 5"):
        found.read(5)
    with pytest.raises(LookupError, match="no order 'new'"):
        found.order("new")
    path = tmp_path / "instances.json"
    data = path.read_text()
    path.write_text(data.replace('"image_id":3', '"image_id":9', 1))
    with pytest.raises(DataError, match="annotation 3 is damaged"):
        InstanceIndex(tmp_path)
    path.write_text(data.replace(',"predicted_iou"', ',"predicted_iou', 1))
    with pytest.raises(DataError, match="line 4: not one annotation"):
        InstanceIndex(tmp_path)
    path.write_text(json.dumps(json.loads(data)))  # saved by another program
    with pytest.raises(DataError, match="one annotation per line"):
        InstanceIndex(tmp_path)
