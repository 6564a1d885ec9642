"""``map_memory``: what mapping 20,000 x 20,000 pixels needs at most, against 5,000 x 5,000."""

from __future__ import annotations

from benchmarks.entry import Entry, Work
from benchmarks.map_stub import FreeModel, folder, make_raster, mapper

_LARGE, _SMALL = 20_000, 5_000


def _setup() -> tuple[Work, Work]:
    import torch

    torch.set_num_threads(1)  # threads' own buffers are not what is compared
    root, model = folder(), FreeModel()
    warm_up = mapper(make_raster(root / "first.tif", 1200), model, 1024, "cosine")
    warm_up()  # imports

    def work(side: int) -> Work:
        def run() -> None:
            path = root / f"{side}.tif"
            mapper(path if path.exists() else make_raster(path, side), model, 1024, "cosine")()

        return run

    return work(_LARGE), work(_SMALL)


MAP_MEMORY = Entry(
    "peak memory of a map of 20,000 x 20,000 pixels against 5,000 x 5,000, ours both times, free model, 8 classes: "
    "at least 0.91 means within 10 %",
    _setup,
    memory=True,
)
