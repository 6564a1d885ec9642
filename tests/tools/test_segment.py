"""Segmentation in the user's own words, as a user does it: one command, its files, and clear errors."""

from __future__ import annotations

import argparse
import csv

import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config
from PIL import Image

WORDS = 'roof, "road, paved", water'


@pytest.fixture(scope="module")
def world(tmp_path_factory, repo):
    """Weights of a small GSNet, a raster that lies somewhere and pictures that do not."""
    pytest.importorskip("open_clip")
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope("mmseg")
    root = tmp_path_factory.mktemp("segment")
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(repo / "configs" / "scenes" / "gsnet_tiny_scenes.py").model)
    torch.save({"state_dict": model.state_dict()}, root / "tiny.pth")
    (root / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 10, 13)).astype(np.uint8).repeat(16, 1).repeat(16, 2)
    where = rasterio.Affine(0.5, 0, 500000, 0, -0.5, 4000000)
    profile = dict(driver="GTiff", count=3, dtype="uint8", height=160, width=208, crs="EPSG:32633", photometric="RGB")
    with rasterio.open(root / "images" / "scene.tif", "w", transform=where, **profile) as file:
        file.write(pixels)
    Image.fromarray(pixels.transpose(1, 2, 0)[:90, :120].copy()).save(root / "images" / "photo.jpg")
    Image.fromarray(pixels[0]).save(root / "grey.png")
    return root


@pytest.fixture
def arguments(world, repo):
    return ["--config", repo / "configs" / "scenes" / "gsnet_tiny_scenes.py", "--checkpoint", world / "tiny.pth",
            "--device", "cpu"]  # fmt: skip


def test_a_folder_becomes_maps_pictures_and_areas(world, arguments, run_tool, tmp_path):
    result = run_tool("segment", world / "images", "--vocabulary", WORDS, "--out", tmp_path / "out", *arguments,
                      "--cfg-options", "model.test_cfg.mode=five_view")  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "road, paved" in result.stdout + result.stderr and "photo_overlay.png" in result.stdout + result.stderr
    ends = (".{}", ".stac.json", "_areas.csv", "_overlay.png")
    names = [name + end.format(kind) for name, kind in (("photo", "png"), ("scene", "tif")) for end in ends]
    names = sorted([*names, "scene.qml", "scene.tif.aux.xml"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    with rasterio.open(tmp_path / "out" / "scene.tif") as file:
        assert (file.crs.to_epsg(), file.transform.c, file.shape, file.nodata) == (32633, 500000, (160, 208), 255)
        assert file.tags(1)["class_1"] == "road, paved" and file.tags()["RSSEG_MODE"] == "slide"
        assert file.colormap(1)[2] == (0, 69, 255, 255)  # water, as in OpenEarthMap
    with Image.open(tmp_path / "out" / "photo.png") as picture:
        assert (picture.mode, picture.size, picture.text["RSSEG_MODE"]) == ("P", (120, 90), "five_view")
    with (tmp_path / "out" / "scene_areas.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == ["roof", "road, paved", "water"]
    assert sum(float(row["m2"]) for row in rows) == pytest.approx(160 * 208 / 4)
    assert sum(float(row["percent"]) for row in rows) == pytest.approx(100, abs=0.01)
    with (tmp_path / "out" / "photo_areas.csv").open() as file:
        assert {row["m2"] for row in csv.DictReader(file)} == {""}
    for name, (width, height) in {"photo": (720, 540), "scene": (624, 480)}.items():
        with Image.open(tmp_path / "out" / f"{name}_overlay.png") as picture:
            assert picture.width > width and picture.height == height


@pytest.mark.slow
def test_by_two_processes_as_by_one(world, arguments, run_tool, run_ranks, tmp_path):
    asked = ["--vocabulary", WORDS, "--threshold", "0.3", "--tta", "--batch", "2"]
    one = run_tool("map_raster", world / "images" / "scene.tif", tmp_path / "one" / "map.tif", *asked, *arguments)
    assert one.returncode == 0, one.stderr
    source, target = world / "images" / "scene.tif", tmp_path / "two" / "map.tif"
    for two in run_ranks(2, "map_raster", source, target, *asked, *arguments, cwd=tmp_path):
        assert two.returncode == 0, two.stderr
    for name in ("map.tif", "map_areas.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    "source, options, message",
    [
        ("grey.png", ["--vocabulary", "roof"], "for a grey file --bands 1,1,1 of a tool"),
        ("grey.png", ["--vocabulary", "roof", "--device", "gpu"], "--device gpu: is not available"),
        ("nowhere.tif", ["--vocabulary", "roof"], "not a raster that GDAL can open"),
        ("grey.png", ["--vocabulary", "roof, roof"], "none of them empty or repeated"),
        ("grey.png", ["--vocabulary", "roof", "--template", "a photo"], "expected exactly one {}"),
    ],
)
def test_errors_are_one_line(source, options, message, world, arguments, tmp_path, capsys, caplog):
    from rsseg.mapping.options import add_segment_arguments as add_arguments
    from rsseg.mapping.segmenting import run_segmentation

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args([*map(str, [world / source, "--out", tmp_path, *arguments, *options])])
    with pytest.raises((ValueError, OSError), match=message.replace("{}", r"\{\}")):
        run_segmentation(args, lambda source, target: None)


@pytest.mark.parametrize("option", ["--window", "--batch"])
def test_sizes_are_positive(option, capsys):
    from rsseg.mapping.options import add_segment_arguments as add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["x.png", "--config", "c.py", "--checkpoint", "c.pth", option, "0"])
    assert f"argument {option}: invalid whole number from 1 on, value: '0'" in capsys.readouterr().err


def test_grey_pictures_are_told_how(world, arguments, run_tool, tmp_path):
    result = run_tool("segment", world / "grey.png", world / "images" / "broken.tif", "--out", tmp_path, "--vocabulary",
                      "roof, water", "--bands", "1,1,1", *arguments)  # fmt: skip
    assert result.returncode == 1 and "broken.tif" in result.stderr and "Traceback" not in result.stderr
    assert (tmp_path / "grey.png").is_file() and (tmp_path / "grey_overlay.png").is_file()
