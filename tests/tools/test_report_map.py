"""The command: a map made by tools/map_raster.py in, a page beside it; errors that say what to do."""

import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config


@pytest.fixture
def mapped(tmp_path, repo, run_tool, mmseg_scope):
    """A map of 60 x 90 pixels by random weights, with reference labels, its image elsewhere."""
    from mmseg.registry import MODELS

    torch.manual_seed(0)
    config = repo / "configs" / "scenes" / "upernet_tiny_scenes.py"
    torch.save({"state_dict": MODELS.build(Config.fromfile(config).model).state_dict()}, tmp_path / "weights.pth")
    place = dict(driver="GTiff", dtype="uint8", height=60, width=90, crs="EPSG:32633")
    place["transform"] = rasterio.Affine(0.5, 0, 500000, 0, -0.5, 4000000)
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    with rasterio.open(tmp_path / "images" / "place.tif", "w", count=3, photometric="RGB", **place) as file:
        file.write(rng.integers(0, 256, (3, 60, 90)).astype(np.uint8))
    with rasterio.open(tmp_path / "labels.tif", "w", count=1, **place) as file:
        file.write(np.full((1, 60, 90), 5, np.uint8))
    arguments = ["--config", config, "--checkpoint", tmp_path / "weights.pth", "--device", "cpu"]
    arguments += ["--reference", tmp_path / "labels.tif"]
    result = run_tool("map_raster", tmp_path / "images" / "place.tif", tmp_path / "place_map.tif", *arguments)
    assert result.returncode == 0, result.stderr
    return tmp_path / "place_map.tif"


@pytest.mark.slow
def test_a_page_of_a_real_map(mapped, tmp_path, run_tool):
    image = tmp_path / "images" / "place.tif"
    result = run_tool("report_map", mapped, "--image", image, "--bands", "1,2,3", "--out", tmp_path / "page.html")
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 2 and "Problems" not in page
    assert all(
        text in page for text in ("agriculture land", "weights.pth", "upernet_tiny_scenes.py", "overall accuracy")
    )


def test_what_is_no_map_is_one_line(tmp_path, run_tool):
    result = run_tool("report_map", tmp_path / "nothing.tif")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr and "nothing.tif" in result.stderr
