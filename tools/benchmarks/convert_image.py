"""``convert_image``: our conversion of one dense tile against a plain loop over its boxes.

Both read a 1024 x 1024 image with 300 boxes and end with label map and instance masks on disk; the mask model is the
filled box, so what is timed is everything else.  The loop does what the SAMRS release does for every box (full-size
mask, paint gray and colour, full-size RLE, full-size sum) and writes what it writes (gray PNG, colour PNG, pickle).
"""

from __future__ import annotations

import pickle
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.entry import Entry, Work
from rsseg.metainfo import load_metainfo

_SIZE, _BOXES = 1024, 300


def write_tile(root: Path, count: int = _BOXES) -> list[tuple[str, list[int]]]:
    """A DOTA set of one image with so many boxes; their classes and corners."""
    rng = np.random.default_rng(0)
    table = load_metainfo("sota")
    corners = rng.integers(0, _SIZE - 64, (count, 2))
    sides = rng.integers(8, 64, (count, 2))
    boxes = np.concatenate([corners, corners + sides], axis=1).tolist()
    names = [table.classes[i] for i in rng.integers(0, table.num_classes, count)]
    lines = [f"{a} {b} {c} {b} {c} {d} {a} {d} {n} 0" for (a, b, c, d), n in zip(boxes, names, strict=True)]
    (root / "images").mkdir()
    (root / "labelTxt").mkdir()
    (root / "labelTxt" / "P1.txt").write_text("\n".join(lines) + "\n")
    smooth = rng.integers(0, 256, (_SIZE // 16, _SIZE // 16, 3)).repeat(16, 0).repeat(16, 1)
    pixels = np.clip(smooth + rng.integers(-8, 9, smooth.shape), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(root / "images" / "P1.png")
    return list(zip(names, boxes, strict=True))


def _plain_loop(root: Path, boxes: list[tuple[str, list[int]]]) -> None:
    from pycocotools import mask as coco

    table = load_metainfo("sota")
    pixels = np.asarray(Image.open(root / "images" / "P1.png"))
    gray = np.full(pixels.shape[:2], 255, np.uint8)
    colour = np.full(pixels.shape, 255, np.uint8)
    rows = []
    for name, (x1, y1, x2, y2) in boxes:
        mask = np.zeros(gray.shape, bool)
        mask[y1:y2, x1:x2] = True
        label = table.index(name)
        where = np.nonzero(mask)
        gray[where] = label
        colour[where] = table.palette[label]
        rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        rows.append({"mask": rle, "bbox": [x1, y1, x2, y2], "category": name, "label": label, "size": mask.sum()})
    out = root / "plain"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    Image.fromarray(gray).save(out / "gray.png")
    Image.fromarray(colour).save(out / "color.png")
    (out / "ins.pkl").write_bytes(pickle.dumps(rows))


def conversion(root: Path, **predictor: Any) -> dict[str, Any]:
    """Config of a conversion of what :func:`write_tile` wrote, to ``root / "ours"``; by default boxes are masks."""
    transforms = ["CutTile", "MakePrompts", "PredictMasks", "PaintLabels", "PackInstances"]
    return dict(
        source=dict(format="dota", images=str(root / "images"), annotations=str(root / "labelTxt"), classes="sota"),
        out_dir=str(root / "ours"),
        pipeline=[dict(type=name) for name in transforms],
        **(predictor or dict(predictor="box")),
    )


def _setup() -> tuple[Work, Work]:
    from rsseg.conversion import convert_labels

    root = Path(tempfile.mkdtemp(prefix="rsseg-benchmark-"))
    boxes = write_tile(root)
    config = conversion(root)

    def ours() -> None:
        shutil.rmtree(root / "ours", ignore_errors=True)
        convert_labels(config)

    ours()
    _plain_loop(root, boxes)
    maps = [np.asarray(Image.open(path)) for path in (root / "ours" / "gray" / "P1.png", root / "plain" / "gray.png")]
    if not np.array_equal(maps[0], maps[1]):
        raise ValueError("the two conversions disagree")
    return ours, lambda: _plain_loop(root, boxes)


CONVERT_IMAGE = Entry("conversion of one 1024 x 1024 tile with 300 boxes against a plain loop over the boxes", _setup)
