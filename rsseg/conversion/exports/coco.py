"""COCO's JSON for a released set; a converted one has it already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rsseg.datasets.labels import Instance, LabelledSet
from rsseg.io.coco import CocoWriter
from rsseg.io.files import replacing
from rsseg.io.progress import Progress

__all__ = ["write_coco"]


def write_coco(source: LabelledSet, path: Path) -> int:
    """Write ``instances.json`` as a conversion does: category = class id + 1, ids from 1, one annotation a line.

    Args:
        source: The set; read once, one tile in memory.
        path: The file.

    Returns:
        Number of annotations.

    Raises:
        OSError: Writing failed; the message names the file.
    """
    progress = Progress(len(source), "export coco", unit="tile")
    with replacing(path) as file:
        writer = CocoWriter(file, source.table.name, source.table.classes)
        for tile in source:
            name = tile.image.name if tile.image else f"{tile.name}.png"
            size = {"height": tile.size[0], "width": tile.size[1]}
            writer.add_image({"file_name": name, **size, "source_image": tile.source})
            for item in tile.instances:
                writer.add_annotation(item.label, _annotation(item))
            progress.step()
        writer.close()
    progress.close()
    return writer.annotations


def _annotation(item: Instance) -> dict[str, Any]:
    x1, y1, x2, y2 = item.bbox
    known = {
        "predicted_iou": item.predicted_iou,
        "stability": item.stability,
        "mask_to_box": None if item.mask_to_box is None else round(item.mask_to_box, 6),
        "prompt_box": item.prompt_box,
        "source_object_id": item.source_object_id,
    }
    return {
        "segmentation": item.rle, "bbox": [x1, y1, x2 - x1, y2 - y1], "area": item.area, "empty": item.area == 0,
        "touches_border": item.touches_border, **known,
        **({} if item.rbox is None else {"rbox": [round(value, 4) for value in item.rbox]}),
        **({} if item.qbox is None else {"qbox": [round(value, 4) for value in item.qbox]}),
    }  # fmt: skip
