"""``map_area``: a map of an area that is a twentieth of a raster against the map of the whole raster, by a real model.

The U-Net is the OpenEarthMap baseline with EfficientNet-B4 and random weights; the area is a disc; one thread.
"""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import Any

from benchmarks.entry import Entry, Work
from benchmarks.map_stub import folder, make_raster
from benchmarks.precision import model

_CONFIG, _SIDE, _WINDOW, _SHARE = "openearthmap/unet_effb4_openearthmap.py", 2048, 256, 0.05


def _setup(side: int = _SIDE, window: int = _WINDOW) -> tuple[Work, Work]:
    import numpy as np
    import rasterio
    import shapely
    import torch

    from rsseg.io.georeference import GeoReference
    from rsseg.mapping import MapOptions, SegmentorScorer, map_raster
    from rsseg.mapping.area import Area
    from rsseg.metainfo import load_metainfo

    torch.set_num_threads(1)
    root, table = folder(), load_metainfo("openearthmap")
    raster = make_raster(root / "scene.tif", side)
    grid = GeoReference.of(raster)
    disc = shapely.Point(side * 0.45, side * 0.55).buffer(side * (_SHARE / np.pi) ** 0.5, quad_segs=64)
    moved = shapely.transform(disc, lambda points: np.column_stack(grid.coordinates(*points.T)))
    area = Area.of("a disc", [moved], grid.crs)
    seen: dict[str, int] = {}

    class Counting(SegmentorScorer):
        def __call__(self, batch: Any) -> torch.Tensor:
            seen[name] = seen.get(name, 0) + len(batch["inputs"])
            return super().__call__(batch)

    scorer, name = Counting(model(_CONFIG), table.num_classes), ""

    def run(area: Area | None) -> Path:
        nonlocal name
        name = "whole" if area is None else "area"
        target, seen[name] = root / f"{name}.tif", 0
        options = MapOptions(window=(window, window), area=area, overwrite=True)
        target.unlink(missing_ok=True)
        map_raster(str(raster), target, scorer, table, options, {})
        return target

    with rasterio.open(run(None)) as whole, rasterio.open(run(area)) as part:
        inside = part.read(1) != part.nodata
        x, y = (round(v) for v in ~whole.transform @ (part.transform.c, part.transform.f))
        cut = whole.read(1)[y : y + part.height, x : x + part.width]
        assert (cut[inside] == part.read(1)[inside]).all()
        logging.getLogger("rsseg").warning("windows: %d of %d, pixels: %d of %d", seen["area"], seen["whole"],
                                           inside.sum(), whole.width * whole.height)  # fmt: skip
    return functools.partial(run, area), functools.partial(run, None)


MAP_AREA = Entry(
    f"a map of an area of {_SHARE:.0%} of {_SIDE} x {_SIDE} pixels by a U-Net with EfficientNet-B4, windows of "
    f"{_WINDOW}, against the whole map; inside, both have the same bytes",
    _setup,
)
