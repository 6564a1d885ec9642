"""``review_index``, ``review_index_memory``, ``review_page``: 100,000 objects under review, against reading the set."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.entry import Entry, Work
from benchmarks.map_stub import folder

_TILES, _OBJECTS, _SIDE = 1000, 100, 1024
_PAGE = 24


def _write_set(root: Path) -> None:
    """A converted set by its files: discs of 40 pixels, with scores, in 1000 tiles without images."""
    import numpy as np

    from rsseg.io.coco import CocoWriter
    from rsseg.metainfo import load_metainfo
    from rsseg.structures.masks import MaskCrop, to_rle

    table, rng = load_metainfo("sota"), np.random.default_rng(0)
    y, x = np.mgrid[:40, :40] - 19.5
    disc = y**2 + x**2 < 19**2
    corners = rng.integers(0, _SIDE - 40, (500, 2)).tolist()
    shapes = [to_rle(MaskCrop(left, top, disc), (_SIDE, _SIDE)) for left, top in corners]
    lines = ["tile,source,x,y,width,height,split"]
    with (root / "instances.json").open("wb") as file:
        writer = CocoWriter(file, "benchmark", table.classes)
        for i in range(_TILES):
            lines.append(f"t{i},t{i}.png,0,0,{_SIDE},{_SIDE},train")
            writer.add_image({"file_name": f"t{i}.png", "width": _SIDE, "height": _SIDE})
            for k, (shape, label) in enumerate(rng.integers(0, (500, table.num_classes), (_OBJECTS, 2)).tolist()):
                left, top = corners[shape]
                row = {"segmentation": shapes[shape], "bbox": [left, top, 40, 40], "area": int(disc.sum()),
                       "mask_to_box": 0.71, "predicted_iou": round(float(rng.random()), 6), "stability": 0.9,
                       "prompt_box": [left, top, left + 40.0, top + 40.0], "source_object_id": str(k)}  # fmt: skip
                writer.add_annotation(label, row)
        writer.close()
    (root / "tiles.csv").write_text("\n".join(lines) + "\n")
    source = {"images": "images", "annotations": "labels", "classes": "sota", "format": "dota"}
    (root / "manifest.json").write_text(json.dumps({"classes": list(table.classes), "config": {"source": source}}))
    (root / ".job.json").write_text(json.dumps({"depends": {"source": source}}))


def _index() -> tuple[Work, Work]:
    from rsseg.datasets.labels import open_labels
    from rsseg.datasets.labels.index import InstanceIndex

    root = folder()
    _write_set(root)
    return lambda: InstanceIndex(root), lambda: [tile.instances for tile in open_labels(root)]


def _page() -> tuple[Work, Work]:
    from rsseg.datasets.labels import open_labels
    from rsseg.serving.review_crops import draw
    from rsseg.serving.review_sets import ReviewSet

    root = folder()
    _write_set(root)
    found = ReviewSet(root, root / "out")

    def ours() -> list[tuple[float, str]]:
        numbers, _, _ = found.choose("me", "suspicious", None, "undecided", 50_000, _PAGE)
        rows = [found.index.read(number) for number in numbers]
        return [(float(instance.predicted_iou or 0), draw(tile, instance, 1).outline) for tile, instance in rows]

    def reference() -> list[tuple[float, str]]:
        rows = [(tile, instance) for tile in open_labels(root) for instance in tile.instances]
        rows.sort(key=lambda row: float(row[1].predicted_iou or 0))
        shown = rows[50_000 : 50_000 + _PAGE]
        return [(float(instance.predicted_iou or 0), draw(tile, instance, 1).outline) for tile, instance in shown]

    if [score for score, _ in ours()] != [score for score, _ in reference()]:
        raise AssertionError("the page shows other objects")
    return ours, reference


_ABOUT = f"{_TILES * _OBJECTS} objects of a converted set"
REVIEW = {
    "review_index": Entry(f"{_ABOUT}: index for a review, against all objects in memory", _index),
    "review_index_memory": Entry(f"{_ABOUT}: the same in memory", _index, memory=True),
    "review_page": Entry(f"{_ABOUT}: {_PAGE} in the middle of the order, against reading and sorting all", _page),
}
