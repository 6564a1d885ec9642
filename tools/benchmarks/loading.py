"""``sep_loading``, ``oem_loading``, ``mmseg_loading``: samples of training from tiled TIFFs.

The references read the whole: the same pipeline from PNGs as conversion writes them, rasterio alone without a single
transform, and mmseg's own recipe from PNGs.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.entry import Entry, Work

_SIDE, _IMAGES = 1024, 8
_CONFIG = Path(__file__).parents[2] / "configs" / "_base_" / "datasets" / "_segmentation.py"
_MMSEG = [
    dict(type="LoadImageFromFile"), dict(type="LoadAnnotations"),
    dict(type="RandomResize", scale=(_SIDE, _SIDE), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=(224, 224)), dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"), dict(type="PackSegInputs"),
]  # fmt: skip


def _write(folder: Path) -> None:
    """Smooth images with some noise and blocks of classes, each as PNG and as tiled TIFF."""
    import cv2
    import rasterio
    from PIL import Image

    rng = np.random.default_rng(0)
    tiled = dict(driver="GTiff", height=_SIDE, width=_SIDE, dtype="uint8", tiled=True, compress="deflate",
                 blockxsize=256, blockysize=256)  # fmt: skip
    for i in range(_IMAGES):
        smooth = cv2.resize(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8), (_SIDE, _SIDE))
        image = np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)
        labels = rng.integers(1, 9, (32, 32)).repeat(32, 0).repeat(32, 1).astype(np.uint8)
        for name, pixels, options in (
            ("image", image.transpose(2, 0, 1), dict(photometric="RGB", interleave="pixel")),
            ("label", labels[None], {}),
        ):
            with rasterio.open(folder / f"{name}{i}.tif", "w", **tiled, count=len(pixels), **options) as file:
                file.write(pixels)
        Image.fromarray(image).save(folder / f"image{i}.png")
        paletted = Image.fromarray(labels)
        paletted.putpalette(rng.integers(0, 256, 768).astype(np.uint8).tobytes())
        paletted.save(folder / f"label{i}.png")


def _samples(pipeline: Any, folder: Path, suffix: str) -> list[Any]:
    from rsseg.datasets.sampling import seed_all

    found = []
    for i in range(_IMAGES):
        seed_all(i)
        given = dict(img_path=str(folder / f"image{i}{suffix}"), seg_map_path=str(folder / f"label{i}{suffix}"))
        found.append(pipeline(given | dict(table="openearthmap", seg_fields=[], reduce_zero_label=False)))
    return found


def _setup(name: str, reference: str) -> tuple[Work, Work]:
    import rasterio
    import torch
    from mmengine.config import Config
    from mmengine.dataset import Compose
    from mmengine.registry import init_default_scope

    import rsseg.datasets

    assert rsseg.datasets.LoadImage  # registered
    torch.set_num_threads(1)
    init_default_scope("mmseg")
    folder = Path(tempfile.mkdtemp(prefix="rsseg-benchmark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _write(folder)
    pipeline = Compose(Config.fromfile(_CONFIG)[name])

    def bare() -> None:
        for path in sorted(folder.glob("*.tif")):
            with rasterio.open(path) as file:
                file.read()

    ours = partial(_samples, pipeline, folder, ".tif")
    if reference == "bare":
        return ours, bare
    other = partial(_samples, pipeline if reference == "png" else Compose(_MMSEG), folder, ".png")
    if reference == "png":
        for one, same in zip(ours(), other(), strict=True):
            if not torch.equal(one["inputs"], same["inputs"]):
                raise ValueError("the samples differ")
    return ours, other


LOADING = {
    "sep_loading": Entry(
        f"{_IMAGES} samples of SEP, crops of 224 of {_SIDE} x {_SIDE}, from tiled TIFFs, against the same from PNGs",
        partial(_setup, "sep_pipeline_224", "png"),
    ),
    "mmseg_loading": Entry("the same, against mmseg's recipe from PNGs", partial(_setup, "sep_pipeline_224", "mmseg")),
    "oem_loading": Entry(
        f"{_IMAGES} samples of OpenEarthMap, crops of 512 of {_SIDE} x {_SIDE}, from tiled TIFFs, against reading all "
        "of these files by rasterio",
        partial(_setup, "train_pipeline_512", "bare"),
    ),
}
