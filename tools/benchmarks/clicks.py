"""``click_*``: a click on the page with a view that the mask model has looked at already, against the first click."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.entry import Entry, Work

_WIDTH, _HEIGHT = 920, 800
"""Pixels of a view: the map in a window of 1280 x 800."""
_SIDE = 2000
"""Pixels of the image, each of half a metre."""
_MODELS: dict[str, dict[str, Any]] = {
    "grabcut": {},
    "mobile_sam": {"random_seed": 0, "device": "cpu"},
    "sam_vit_b": {"random_seed": 0, "device": "cpu"},
}


def _image(folder: Path) -> Path:
    """Bright squares on a noisy ground, one of them in the middle, as a GeoTIFF."""
    import numpy as np
    import rasterio
    from rasterio import Affine

    pixels = np.random.default_rng(0).integers(60, 90, (3, _SIDE, _SIDE), dtype=np.uint8)
    for x in range(170, _SIDE, 200):
        for y in range(170, _SIDE, 200):
            pixels[:, y : y + 60, x : x + 60] += 120
    profile = {"driver": "GTiff", "crs": "EPSG:32633", "transform": Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)}
    path = folder / "ground.tif"
    with rasterio.open(path, "w", width=_SIDE, height=_SIDE, count=3, dtype="uint8", tiled=True, **profile) as file:
        file.write(pixels)
    return path


def _setup(predictor: str) -> tuple[Work, Work]:
    from rsseg.serving.masks import prompts_in_view, segment_boxes
    from rsseg.serving.places import Place
    from rsseg.serving.views import View

    path = _image(Path(tempfile.mkdtemp()))
    view = View(*Place.of(path).bounds, _WIDTH, _HEIGHT)
    middle = (view.west + view.east) / 2, (view.south + view.north) / 2
    prompts = [asdict(prompt) for prompt in prompts_in_view(view, [], [(*middle, 1)])]
    request = {"path": str(path), "layer": "a", "view": asdict(view), "prompts": prompts,
               "masks": {"predictor": predictor, **_MODELS[predictor]}}  # fmt: skip
    models: dict[str, Any] = {}

    def click() -> None:
        segment_boxes(request, models, lambda *_: None)

    def first() -> None:
        models.pop("views", None)
        click()

    return click, first


def _entry(predictor: str) -> Entry:
    about = f"{predictor}: a click in a view of {_WIDTH} x {_HEIGHT} that was looked at before, against the first one"
    return Entry(about, functools.partial(_setup, predictor))


CLICKS = {f"click_{name}": _entry(name) for name in _MODELS}
