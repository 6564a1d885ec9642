"""``slide`` and ``slide_memory``: a map against mmseg's slide inference with the same model and windows.

Ours goes from GeoTIFF to GeoTIFF; mmseg's begins with the pixels in memory and ends with class ids in memory.
"""

from __future__ import annotations

from functools import partial

from benchmarks.entry import Entry, Work
from benchmarks.map_stub import CLASSES, folder, light_model, make_raster, mapper


def _setup(side: int, window: int, check: bool) -> tuple[Work, Work]:
    import numpy as np
    import rasterio
    import torch
    from mmengine.config import Config
    from mmseg.structures import SegDataSample

    from rsseg.mapping import SegmentorScorer

    torch.set_num_threads(1)
    root, theirs = folder(), light_model()
    theirs.test_cfg = Config(dict(mode="slide", crop_size=(window, window), stride=(window * 3 // 4, window * 3 // 4)))
    raster = make_raster(root / "scene.tif", side)
    predictor = SegmentorScorer(light_model(), CLASSES)
    ours = mapper(raster, predictor, window, "mean")

    def reference() -> np.ndarray:
        with rasterio.open(raster) as file:
            pixels = torch.from_numpy(file.read([3, 2, 1]))
        sizes = {"ori_shape": (side, side), "img_shape": (side, side), "pad_shape": (side, side)}
        with torch.inference_mode():
            result = theirs.test_step({"inputs": [pixels], "data_samples": [SegDataSample(metainfo=sizes)]})
        return result[0].pred_sem_seg.data[0].numpy().astype(np.uint8)

    if check:
        with rasterio.open(ours()) as file:
            if not np.array_equal(file.read(1), reference()):
                raise ValueError("the two maps differ")
    else:
        mapper(make_raster(root / "first.tif", 600), predictor, window, "mean")()  # imports
    return ours, reference


SLIDE = Entry(
    "time of a map of 3072 x 3072 pixels, GeoTIFF to GeoTIFF, against mmseg's slide inference in memory: the same "
    "light model, windows of 512 with a quarter of overlap, 8 classes; equal maps",
    partial(_setup, 3072, 512, True),
)
SLIDE_MEMORY = Entry(
    "peak memory of the same with 6000 x 6000 pixels and windows of 1024",
    partial(_setup, 6000, 1024, False),
    memory=True,
)
