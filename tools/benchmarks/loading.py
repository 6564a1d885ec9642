"""``sep_loading``, ``oem_loading``, and ``mmseg_``, ``albumentations_``, ``torchgeo_loading``: samples of TIFF tiles.

The files are those that ``rsseg convert --format tif`` and ``png`` write.  The references: the same pipeline from PNGs,
rasterio alone without a single transform, and the recipes of others, see :mod:`benchmarks.loading_peers`.
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
from benchmarks.loading_peers import PEERS, peer

_SIDE, _IMAGES = 1024, 8
_CONFIG = Path(__file__).parents[2] / "configs" / "_base_" / "datasets" / "_segmentation.py"


def _write(folder: Path) -> None:
    """Smooth images with some noise and blocks of classes, each as both formats of tiles."""
    import cv2

    from rsseg.io.tile_files import encode_image, encode_indices
    from rsseg.io.tile_formats import TILE_FORMATS

    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (256, 3)).astype(np.uint8)
    for i in range(_IMAGES):
        smooth = cv2.resize(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8), (_SIDE, _SIDE))
        image = np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)
        labels = rng.integers(1, 9, (32, 32)).repeat(32, 0).repeat(32, 1).astype(np.uint8)
        for kind in TILE_FORMATS:
            (folder / f"image{i}.{kind}").write_bytes(encode_image(image, kind))
            (folder / f"label{i}.{kind}").write_bytes(encode_indices(labels, colours, kind))


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
    if reference != "png":
        return ours, peer(reference, folder, _IMAGES)
    other = partial(_samples, pipeline, folder, ".png")
    for one, same in zip(ours(), other(), strict=True):
        if not torch.equal(one["inputs"], same["inputs"]):
            raise ValueError("the samples differ")
    return ours, other


LOADING = {
    "sep_loading": Entry(
        f"{_IMAGES} samples of SEP, crops of 224 of {_SIDE} x {_SIDE}, from tiled TIFFs, against the same from PNGs",
        partial(_setup, "sep_pipeline_224", "png"),
    ),
    **{
        f"{name}_loading": Entry(f"the same, against {PEERS[name].about}", partial(_setup, "sep_pipeline_224", name))
        for name in PEERS
    },
    "oem_loading": Entry(
        f"{_IMAGES} samples of OpenEarthMap, crops of 512 of {_SIDE} x {_SIDE}, from tiled TIFFs, against reading all "
        "of these files by rasterio",
        partial(_setup, "train_pipeline_512", "bare"),
    ),
}
