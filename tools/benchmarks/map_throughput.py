"""``map_throughput``: how fast pixels become a map when the model costs nothing."""

from __future__ import annotations

import time

from benchmarks.entry import Entry, Work
from benchmarks.map_stub import FreeModel, folder, make_raster, mapper

_SIDE, _RATE = 8192, 15e6


def _setup() -> tuple[Work, Work]:
    import torch

    torch.set_num_threads(1)
    run = mapper(make_raster(folder() / "scene.tif", _SIDE), FreeModel(), 1024, "cosine")
    return run, lambda: time.sleep(_SIDE**2 / _RATE)


MAP_THROUGHPUT = Entry(
    "time of a map of 8192 x 8192 pixels with a free model (8 classes, windows of 1024, a quarter of overlap) against "
    "15 megapixels a second, which it needs two free cores for",
    _setup,
)
