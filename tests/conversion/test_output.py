"""What a conversion writes, worked out by hand."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsseg.conversion import convert_labels
from rsseg.metainfo import load_metainfo

Make = Callable[..., dict[str, Any]]
SOTA = load_metainfo("sota")
SHIP, PLANE, HARBOR = (SOTA.index(name) for name in ("ship", "plane", "harbor"))


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, str]]]:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    instances = json.loads((folder / "instances.json").read_text(encoding="utf-8"))
    tiles = list(csv.DictReader(io.StringIO((folder / "tiles.csv").read_text(encoding="utf-8"))))
    return manifest, instances, tiles


def test_later_objects_are_painted_over_earlier_ones(make_config: Make, tmp_path: Path) -> None:
    convert_labels(make_config(tiling=None))
    label = Image.open(tmp_path / "out/gray/P0002.png")
    assert label.mode == "P"
    pixels = np.asarray(label)
    assert pixels[25, 25] == SHIP and pixels[15, 15] == HARBOR and pixels[5, 5] == 255
    assert (pixels == SHIP).sum() == 100 and (pixels == HARBOR).sum() == 800
    palette = np.array(label.getpalette()).reshape(-1, 3)
    assert tuple(palette[SHIP]) == SOTA.palette[SHIP] and tuple(palette[255]) == (255, 255, 255)


def test_large_first_shows_small_objects(make_config: Make, tmp_path: Path, world: Path) -> None:
    path = world / "labelTxt" / "P0002.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[::-1]) + "\n", encoding="utf-8")
    pipeline = [
        {**step, "order": "large_first"} if step["type"] == "PaintLabels" else step
        for step in make_config()["pipeline"]
    ]
    convert_labels(make_config("plain", tiling=None))
    convert_labels(make_config("sorted", tiling=None, pipeline=pipeline))
    assert (np.asarray(Image.open(tmp_path / "plain/gray/P0002.png")) == SHIP).sum() == 0
    assert (np.asarray(Image.open(tmp_path / "sorted/gray/P0002.png")) == SHIP).sum() == 100


def test_tiles_and_where_they_come_from(make_config: Make, tmp_path: Path) -> None:
    convert_labels(make_config())
    manifest, instances, tiles = _read(tmp_path / "out")
    # P0001 is 60 x 100: columns at 0, 32, 52, rows at 0, 12.
    own = [row["tile"] for row in tiles if row["source"] == "P0001.png"]
    assert own == ["P0001__0_0", "P0001__0_12", "P0001__32_0", "P0001__32_12", "P0001__52_0", "P0001__52_12"]
    row = next(row for row in tiles if row["tile"] == "P0001__52_12")
    assert (row["x"], row["y"], row["width"], row["height"]) == ("52", "12", "48", "48")
    assert list(row) == ["tile", "source", "x", "y", "width", "height", "split"]
    source = np.asarray(Image.open(tmp_path / "world/images/P0001.png"))
    assert (np.asarray(Image.open(tmp_path / "out/images/P0001__52_12.png")) == source[12:60, 52:100]).all()
    # The plane (50-70 x 20-40) loses 2 of 20 columns to the left of x = 52: 0.9 of it stays, moved, not clipped.
    planes = [row for row in instances["annotations"] if row["category_id"] == PLANE + 1]
    cut = next(row for row in planes if row["tile_offset"] == [52, 12])
    assert cut["prompt_box"] == [-2, 8, 18, 28] and cut["bbox"] == [0, 8, 18, 20] and cut["area"] == 360
    assert cut["source_image"] == "P0001.png" and cut["source_object_id"] == "2"
    assert manifest["counts"]["instances"] == len(instances["annotations"])
    assert [row["id"] for row in instances["annotations"]] == list(range(1, len(instances["annotations"]) + 1))


def test_images_without_objects_are_listed(make_config: Make, tmp_path: Path) -> None:
    convert_labels(make_config())
    manifest, _, tiles = _read(tmp_path / "out")
    assert manifest["images_without_objects"] == ["P0003.png"]
    assert not any(row["source"] == "P0003.png" for row in tiles)
    assert "P0004__16_16" in manifest["tiles_without_objects"]  # shows 64 of the plane's 256 pixels
    convert_labels(make_config("kept", keep_empty=True))
    names = {row["tile"] for row in _read(tmp_path / "kept")[2]}
    assert {"P0003__0_0", "P0004__16_16"} <= names
    assert (np.asarray(Image.open(tmp_path / "kept/gray/P0003__0_0.png")) == 255).all()


def test_every_object_is_kept_or_listed(make_config: Make, tmp_path: Path, world: Path) -> None:
    # A 60 x 4 strip never shows 0.9 of itself in a window of 48.
    with (world / "labelTxt" / "P0001.txt").open("a", encoding="utf-8") as file:
        file.write("10 2 70 2 70 6 10 6 bridge 0\n")
    convert_labels(make_config(tiling={"size": 48, "overlap": 16, "iof_thr": 0.9}))
    manifest, instances, _ = _read(tmp_path / "out")
    counts = manifest["counts"]
    kept = {(row["source_image"], row["source_object_id"]) for row in instances["annotations"]}
    assert manifest["unassigned"] == [{"source": "P0001.png", "object_id": "4"}]
    assert counts["source_objects"] == 7 == counts["kept_objects"] + counts["unassigned_objects"]
    assert len(kept) == counts["kept_objects"]


def test_instances_load_in_pycocotools(make_config: Make, tmp_path: Path) -> None:
    coco_module = pytest.importorskip("pycocotools.coco")
    convert_labels(make_config())
    coco = coco_module.COCO(str(tmp_path / "out/instances.json"))
    assert len(coco.getCatIds()) == SOTA.num_classes and min(coco.getCatIds()) == 1
    for row in coco.loadAnns(coco.getAnnIds()):
        mask = coco.annToMask(row).astype(bool)
        assert mask.sum() == row["area"] and not row["empty"] and row["iscrowd"] == 0
        name = coco.loadImgs(row["image_id"])[0]["file_name"]
        label = np.asarray(Image.open(tmp_path / "out/gray" / name))
        if row["category_id"] != HARBOR + 1:
            assert (label[mask] == row["category_id"] - 1).mean() > 0.5


def test_rotated_boxes_are_kept(make_config: Make, tmp_path: Path, world: Path) -> None:
    (world / "labelTxt" / "P0004.txt").write_text("20 10 30 20 20 30 10 20 ship 0\n", encoding="utf-8")
    predictors = {"box": {"type": "BoxPredictor", "kind": "rbox"}}
    convert_labels(make_config(tiling=None, prompt="rhbox", predictors=predictors))
    row = next(r for r in _read(tmp_path / "out")[1]["annotations"] if r["source_image"] == "P0004.png")
    assert row["prompt_box"] == [10, 10, 30, 30]
    assert row["rbox"][:4] == pytest.approx([20, 20, 200**0.5, 200**0.5], abs=1e-3)
    assert row["area"] == 200
    assert "rbox" not in _read(tmp_path / "out")[1]["annotations"][0]


def test_problems_are_listed_and_do_not_stop(make_config: Make, tmp_path: Path, world: Path) -> None:
    with (world / "labelTxt" / "P0004.txt").open("a", encoding="utf-8") as file:
        file.write("1 1 2 1 2 2 1 2 submarine 0\n")
    (world / "images" / "P0002.png").write_bytes(b"no image")
    Image.new("L", (60, 100)).save(world / "images" / "P0001.png")
    (world / "labelTxt" / "P0099.txt").write_text("", encoding="utf-8")
    report = convert_labels(make_config())
    assert report.complete
    manifest = _read(tmp_path / "out")[0]
    assert manifest["failed_images"] == ["P0001.png", "P0002.png"]
    assert manifest["counts"]["problems"] == len(manifest["problems"]) == 4
    submarine = next(row for row in manifest["problems"] if row["file"].endswith("P0004.txt"))
    assert submarine["line"] == 4 and "submarine" in submarine["value"]
    assert any(row["file"].endswith("P0099.txt") for row in manifest["problems"])
    with pytest.raises(ValueError, match="P0099"):
        convert_labels(make_config("strict"), on_error="raise")


def test_grey_images_need_leave(make_config: Make, tmp_path: Path, world: Path) -> None:
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(world / "images" / "P0004.png")
    config = make_config()
    config["source"]["image_mode"] = "convert"
    convert_labels(config, on_error="raise")
    assert np.asarray(Image.open(tmp_path / "out/images/P0004__0_0.png")).shape == (48, 48, 3)


def test_real_image_with_536_boxes(make_config: Make, tmp_path: Path, samples: Path) -> None:
    source = {"images": str(samples / "dota/images"), "annotations": str(samples / "dota/labelTxt")}
    config = make_config(tiling={"size": 512, "overlap": 100, "iof_thr": 0.7})
    config["source"] |= {**source, "stems": ["P0706"]}
    convert_labels(config)
    manifest, instances, _ = _read(tmp_path / "out")
    kept = {row["source_object_id"] for row in instances["annotations"]}
    missed = {row["object_id"] for row in manifest["unassigned"]}
    assert manifest["counts"]["source_objects"] == 536
    assert len(kept) + len(missed) == 536 and not kept & missed
    assert manifest["counts"]["unassigned_objects"] == len(missed) <= 5
