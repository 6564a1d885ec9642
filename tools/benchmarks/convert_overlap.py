"""``convert_overlap``: a whole conversion against the image encoder alone.

A stub model sleeps where an encoder on a GPU would compute, and then makes smooth masks in the tile, so that decoding,
painting, run lengths and two PNGs per tile cost what they cost in earnest.  Ratio 0.91 or more means that all of that,
and reading the images, adds less than 10 % to the time of the encoder.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.entry import Entry, Work

_SIZE, _BOXES, _IMAGES, _ACROSS, _SECONDS = 1024, 35, 48, 2, 0.06


class _SleepingModel:
    """Sleeps to encode; decodes every box to an ellipse found on a grid of the whole tile's width."""

    needs_gt_masks = False

    def encode(self, images: Any) -> list[Any]:
        time.sleep(_SECONDS * len(images))
        return list(images)

    def decode(self, image: Any, prompts: Any) -> Any:
        from rsseg.conversion.predictors.base import without_scores
        from rsseg.structures.masks import crop_mask

        masks = []
        for x1, y1, x2, y2 in prompts.boxes:
            top, bottom = int(max(y1, 0)), int(min(y2, _SIZE))
            y, x = np.ogrid[top:bottom, 0:_SIZE]
            inside = ((x + 0.5 - (x1 + x2) / 2) / (x2 - x1)) ** 2 + ((y + 0.5 - (y1 + y2) / 2) / (y2 - y1)) ** 2 < 0.25
            masks.append(crop_mask(inside, 0, top))
        return without_scores(masks)

    def predict(self, image: Any, prompts: Any) -> Any:
        return self.decode(self.encode([image])[0], prompts)

    def describe(self) -> dict[str, Any]:
        return {"name": "sleeping"}


def _write_scene(root: Path, stem: str, rng: np.random.Generator) -> None:
    import cv2

    side = _SIZE * _ACROSS
    corners = rng.integers(0, side - 80, (_BOXES * _ACROSS**2, 2))
    boxes = np.concatenate([corners, corners + rng.integers(16, 80, corners.shape)], axis=1).tolist()
    lines = [f"{a} {b} {c} {b} {c} {d} {a} {d} ship 0" for a, b, c, d in boxes]
    (root / "labelTxt" / f"{stem}.txt").write_text("\n".join(lines) + "\n")
    smooth = cv2.resize(rng.integers(0, 256, (side // 16, side // 16, 3)).astype(np.uint8), (side, side))
    pixels = np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)
    cv2.imwrite(str(root / "images" / f"{stem}.png"), pixels)


def _setup() -> tuple[Work, Work]:
    from mmseg.registry import MODELS

    from rsseg.conversion import convert_labels

    MODELS.register_module("BenchmarkSleepingModel", module=_SleepingModel, force=True)
    root = Path(tempfile.mkdtemp(prefix="rsseg-benchmark-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    rng = np.random.default_rng(0)
    for name in ("images", "labelTxt"):
        (root / name).mkdir()
    for i in range(_IMAGES):
        _write_scene(root, f"P{i:04d}", rng)
    transforms = ["CutTile", "MakePrompts", "PredictMasks", "PaintLabels", "PackInstances"]
    config = dict(
        source=dict(format="dota", images=str(root / "images"), annotations=str(root / "labelTxt"), classes="sota"),
        out_dir=str(root / "ours"),
        predictor="sleeping",
        predictors=dict(sleeping=dict(type="BenchmarkSleepingModel")),
        tiling=dict(size=_SIZE, overlap=0, iof_thr=0.5),
        pipeline=[dict(type=name) for name in transforms],
    )
    counts: dict[str, int] = {}

    def ours() -> None:
        shutil.rmtree(root / "ours", ignore_errors=True)
        manifest = convert_labels(config).manifest
        counts.update(manifest["counts"] if manifest else {})

    ours()
    if counts.get("tiles") != _IMAGES * _ACROSS**2:
        raise ValueError(f"{_IMAGES * _ACROSS**2} tiles were expected, not {counts.get('tiles')}")
    return ours, lambda: time.sleep(_SECONDS * counts["tiles"])


CONVERT_OVERLAP = Entry(
    f"conversion of {_IMAGES * _ACROSS**2} tiles with an encoder that sleeps {_SECONDS * 1000:.0f} ms each, against "
    "that sleep alone (0.91 or more: within 10 %)",
    _setup,
)
