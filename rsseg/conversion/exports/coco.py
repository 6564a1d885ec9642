"""COCO's JSON for a released set; a converted one has it already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rsseg.datasets.labels import Instance, LabelledSet
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
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(source.table.classes)]
    images, number = [], 0
    progress = Progress(len(source), "export coco", unit="tile")
    with replacing(path) as file:
        file.write(f'{{"info":{_text({"description": source.table.name})},\n'.encode())
        file.write(f'"categories":{_text(categories)},\n"annotations":['.encode())
        for image_id, tile in enumerate(source, start=1):
            name = tile.image.name if tile.image else f"{tile.name}.png"
            size = {"height": tile.size[0], "width": tile.size[1]}
            images.append(_text({"id": image_id, "file_name": name, **size, "source_image": tile.source}))
            for item in tile.instances:
                number += 1
                line = _text(_annotation(item, number, image_id))
                file.write((("\n" if number == 1 else ",\n") + line).encode())
            progress.step()
        file.write(b'\n],\n"images":[\n' + ",\n".join(images).encode() + b"\n]}\n")
    progress.close()
    return number


def _annotation(item: Instance, number: int, image_id: int) -> dict[str, Any]:
    x1, y1, x2, y2 = item.bbox
    known = {
        "predicted_iou": item.predicted_iou,
        "stability": item.stability,
        "mask_to_box": None if item.mask_to_box is None else round(item.mask_to_box, 6),
        "prompt_box": item.prompt_box,
        "source_object_id": item.source_object_id,
    }
    return {
        "id": number, "image_id": image_id, "category_id": item.label + 1, "iscrowd": 0,
        "segmentation": item.rle, "bbox": [x1, y1, x2 - x1, y2 - y1], "area": item.area, "empty": item.area == 0,
        "touches_border": item.touches_border, **known,
        **({} if item.rbox is None else {"rbox": [round(value, 4) for value in item.rbox]}),
        **({} if item.qbox is None else {"qbox": [round(value, 4) for value in item.qbox]}),
    }  # fmt: skip


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
