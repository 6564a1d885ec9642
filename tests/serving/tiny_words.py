"""A tiny open-vocabulary model, a tiny one with fixed classes, and a picture of the ground to ask them about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import Affine

from tests.small_model import MODEL

UTM = Affine(0.5, 0, 500000, 0, -0.5, 5300000)


def write_open_model(folder: Path, repo: Path) -> dict[str, Any]:
    """Options of a GSNet with random weights, and windows of 128 pixels."""
    import torch
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope("mmseg")
    path = repo / "configs" / "scenes" / "gsnet_tiny_scenes.py"
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(path).model)
    torch.save({"state_dict": model.state_dict()}, folder / "tiny.pth")
    return {"config": str(path), "checkpoint": str(folder / "tiny.pth"), "device": "cpu"}


def write_fixed_model(folder: Path) -> dict[str, Any]:
    """Options of a segmentor of three classes."""
    import torch
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    import rsseg.models  # noqa: F401

    init_default_scope("mmseg")
    colours = ("#ff0000", "#00ff00", "#0000ff")
    rows = [{"id": i, "name": name, "color": colours[i]} for i, name in enumerate(("road", "roof", "tree"))]
    (folder / "table.json").write_text(json.dumps({"name": "own", "source": "x", "categories": rows}))
    (folder / "fixed.py").write_text(f"custom_imports = dict(imports=['rsseg.models'])\nmodel = {MODEL!r}\n")
    torch.manual_seed(0)
    torch.save({"state_dict": MODELS.build(dict(MODEL)).state_dict()}, folder / "fixed.pth")
    files = {"config": str(folder / "fixed.py"), "checkpoint": str(folder / "fixed.pth")}
    return {**files, "classes": str(folder / "table.json"), "device": "cpu"}


def blotches(height: int, width: int) -> NDArray[np.uint8]:
    """(3, H, W) squares of random colours."""
    small = np.random.default_rng(0).integers(0, 256, (3, height // 16 + 1, width // 16 + 1))
    return small.repeat(16, 1).repeat(16, 2)[:, :height, :width].astype(np.uint8)


def write_ground(path: Path, height: int = 300, width: int = 400, crs: str | None = "EPSG:32633") -> Path:
    """An RGB raster of half a metre, without data in its upper left corner."""
    pixels = np.maximum(blotches(height, width), 1)
    pixels[:, :40, :40] = 0
    form = {"driver": "GTiff", "count": 3, "height": height, "width": width, "dtype": "uint8", "photometric": "RGB"}
    place = {} if crs is None else {"crs": crs, "transform": UTM}
    with rasterio.open(path, "w", nodata=0, **form, **place) as file:
        file.write(pixels)
    return path
