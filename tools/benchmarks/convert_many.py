"""``convert_many``: many tiny images with filled boxes; the time must grow with their number, and no faster.

Ratio 1 is linear: the reference converts a tenth of the images and is repeated ten times.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.entry import Entry, Work

_IMAGES, _OBJECTS, _SIDE = 1000, 10, 64


def _write(root: Path, count: int) -> Path:
    """A set of ``count`` images in DOTA's format."""
    import cv2

    rng = np.random.default_rng(0)
    picture = cv2.imencode(".png", rng.integers(0, 256, (_SIDE, _SIDE, 3)).astype(np.uint8))[1].tobytes()
    for name in ("images", "labelTxt"):
        (root / name).mkdir(parents=True)
    for i in range(count):
        corners = rng.integers(0, _SIDE - 16, (_OBJECTS, 2))
        boxes = np.concatenate([corners, corners + rng.integers(4, 16, corners.shape)], axis=1).tolist()
        lines = [f"{a} {b} {c} {b} {c} {d} {a} {d} ship 0\n" for a, b, c, d in boxes]
        (root / "labelTxt" / f"P{i:06d}.txt").write_text("".join(lines))
        (root / "images" / f"P{i:06d}.png").write_bytes(picture)
    return root


def _convert(root: Path, count: int) -> None:
    from rsseg.conversion import convert_labels

    shutil.rmtree(root / "out", ignore_errors=True)
    transforms = ["CutTile", "MakePrompts", "PredictMasks", "PaintLabels", "PackInstances"]
    source = dict(format="dota", images=str(root / "images"), annotations=str(root / "labelTxt"), classes="sota")
    config = dict(source=source, out_dir=str(root / "out"), predictor="box", prompt="hbox",
                  pipeline=[dict(type=name) for name in transforms])  # fmt: skip
    manifest = convert_labels(config).manifest
    if not manifest or manifest["counts"]["instances"] != count * _OBJECTS:
        raise ValueError(f"{count * _OBJECTS} instances were expected")


def _setup() -> tuple[Work, Work]:
    root = Path(tempfile.mkdtemp(prefix="rsseg-benchmark-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    whole, tenth = _write(root / "whole", _IMAGES), _write(root / "tenth", _IMAGES // 10)

    def reference() -> None:
        for _ in range(10):
            _convert(tenth, _IMAGES // 10)

    return lambda: _convert(whole, _IMAGES), reference


CONVERT_MANY = Entry(
    f"conversion of {_IMAGES} images of {_SIDE} x {_SIDE} with {_OBJECTS} boxes each, against ten times a tenth of "
    "them (1 or more: time grows no faster than the number of images)",
    _setup,
)
