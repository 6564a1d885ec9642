"""Work for the mapping benchmarks: rasters of any size, and models that cost nothing or next to nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

__all__ = ["CLASSES", "FreeModel", "folder", "light_model", "make_raster", "mapper"]

CLASSES = 8


class FreeModel:
    """Scores that are there already: the same blotches for every window of 1024 x 1024."""

    classes, probabilities = CLASSES, False

    def __init__(self) -> None:
        import torch

        self.device = torch.device("cpu")
        coarse = torch.randn(1, CLASSES, 32, 32, generator=torch.Generator().manual_seed(0))
        self.scores = torch.nn.functional.interpolate(coarse, size=(1024, 1024), mode="bilinear")

    def prepare(self, windows: Sequence[Any]) -> int:
        """Nothing to prepare."""
        return len(windows)

    def __call__(self, batch: int) -> Any:
        """(batch, 8, 1024, 1024) logits."""
        return self.scores.expand(batch, -1, -1, -1)


def light_model() -> Any:
    """mmseg's own segmentor with a 3 x 3 convolution for a backbone and a 1 x 1 one for a head."""
    import torch
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmseg.models.segmentors import EncoderDecoder
    from mmseg.registry import MODELS

    class OneConvolution(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = torch.nn.Conv2d(3, 8, 3, padding=1)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            return (self.convolution(x),)

    if "OneConvolution" not in MODELS.module_dict:
        MODELS.register_module(module=OneConvolution)
    init_default_scope("mmseg")
    torch.manual_seed(0)
    head = dict(type="FCNHead", in_channels=8, channels=8, in_index=0, num_convs=0, concat_input=False, kernel_size=1)
    preprocessor = dict(type="SegDataPreProcessor", mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True)
    loss = dict(type="CrossEntropyLoss", avg_non_ignore=True)
    return EncoderDecoder(
        backbone=dict(type="OneConvolution"),
        decode_head=Config(dict(**head, num_classes=CLASSES, align_corners=False, loss_decode=loss))._cfg_dict,
        data_preprocessor=preprocessor,
        test_cfg=Config(dict(mode="whole")),
    ).eval()


def folder() -> Path:
    """A folder for this process, deleted at its end."""
    root = Path(tempfile.mkdtemp(prefix="rsseg-benchmark-"))
    Finalize(None, shutil.rmtree, (root, True), exitpriority=0)  # multiprocessing skips atexit
    return root


def make_raster(path: Path, side: int) -> Path:
    """A tiled RGB GeoTIFF of ``side`` x ``side`` pixels of coarse noise."""
    import numpy as np
    import rasterio

    rows = np.random.default_rng(0).integers(0, 256, (3, 32, side // 16 + 1)).astype(np.uint8)
    rows = rows.repeat(16, 1).repeat(16, 2)[:, :, :side]
    place = rasterio.Affine(0.5, 0, 500000, 0, -0.5, 4000000)
    with rasterio.Env(GDAL_CACHEMAX=16 << 20), rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=3, dtype="uint8", crs="EPSG:32633", transform=place,
        tiled=True, blockxsize=512, blockysize=512, photometric="RGB", interleave="pixel",
    ) as file:  # fmt: skip
        for y in range(0, side, 512):
            file.write(rows[:, : min(512, side - y)], window=((y, min(side, y + 512)), (0, side)))
    return path


def mapper(raster: Path, predictor: Any, window: int, blend: str, batch: int = 1) -> Callable[[], Path]:
    """A function that maps a raster anew: GeoTIFF in, cloud-optimised GeoTIFF out, areas counted."""
    from rsseg.mapping import MapOptions, map_raster
    from rsseg.metainfo import load_metainfo

    target = raster.with_name(f"{raster.stem}_map.tif")

    def run() -> Path:
        target.unlink(missing_ok=True)
        options = MapOptions(window=(window, window), overlap=0.25, blend=blend, batch=batch)
        map_raster(str(raster), target, predictor, load_metainfo("openearthmap"), options, {})
        return target

    return run
