"""``tiling``: cutting images into tiles by two workers against Pillow, window by window, in one."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.entry import Entry, Work

_IMAGES, _SIDE, _SIZE, _OVERLAP = 4, 3000, 1024, 200


def _write_image(path: Path, rng: np.random.Generator) -> None:
    import cv2

    smooth = cv2.resize(rng.integers(0, 256, (_SIDE // 16, _SIDE // 16, 3)).astype(np.uint8), (_SIDE, _SIDE))
    pixels = np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)
    cv2.imwrite(str(path), pixels)


def _one_by_one(images: Path, out: Path) -> None:
    from rsseg.structures.windows import tile_windows

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    for path in sorted(images.iterdir()):
        with Image.open(path) as image:
            for window in tile_windows((image.height, image.width), _SIZE, _OVERLAP).tolist():
                image.crop(window).save(out / f"{path.stem}__{window[0]}_{window[1]}.png")


def _setup() -> tuple[Work, Work]:
    from rsseg.conversion.tiling import cut_images

    root = Path(tempfile.mkdtemp(prefix="rsseg-benchmark-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    (root / "images").mkdir()
    rng = np.random.default_rng(0)
    for i in range(_IMAGES):
        _write_image(root / "images" / f"P{i:04d}.png", rng)

    def ours() -> None:
        shutil.rmtree(root / "ours", ignore_errors=True)
        cut_images(root / "images", root / "ours", _SIZE, _OVERLAP, workers=2)

    def reference() -> None:
        _one_by_one(root / "images", root / "reference")

    ours()
    reference()
    names = sorted(path.name for path in (root / "reference").iterdir())
    if names != sorted(path.name for path in (root / "ours").glob("*.png")):
        raise ValueError("the tiles have other names")
    for name in names:
        tile, same = (np.asarray(Image.open(root / side / name)) for side in ("ours", "reference"))
        if not np.array_equal(tile, same):
            raise ValueError(f"{name}: the pixels differ")
    return ours, reference


TILING = Entry(
    f"cutting {_IMAGES} images of {_SIDE} x {_SIDE} into tiles of {_SIZE} on 2 cores, against Pillow in one process: "
    "open, then crop and save window by window",
    _setup,
)
