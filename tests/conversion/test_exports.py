"""Exports: what they hold, worked out by hand; round trips; going on after an interruption."""

import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsseg.conversion import convert_labels
from rsseg.conversion.exports import export_labels, export_summary, mask_outline
from rsseg.datasets.labels import open_labels
from rsseg.errors import JobError
from rsseg.metainfo import load_metainfo
from rsseg.structures.masks import MaskCrop, crop_mask, empty_mask, fill_polygon, rle_to_crop, to_rle

Make = Callable[..., dict[str, Any]]
SOTA = load_metainfo("sota")
SHIP, PLANE = SOTA.index("ship"), SOTA.index("plane")


@pytest.fixture
def converted(make_config: Make, tmp_path: Path) -> Path:
    convert_labels(make_config())
    return tmp_path / "out"


def _contents(tile: Any) -> list[tuple[Any, ...]]:
    return [(item.label, item.rle, item.area, item.bbox, item.prompt_box) for item in tile.instances]


def _files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_pickles_and_back(converted: Path, tmp_path: Path) -> None:
    out = tmp_path / "release"
    (row,) = export_labels(converted, ["pkl"], out)
    before = list(open_labels(converted))
    assert row.written == len(before) and row.counts["instances"] == sum(len(tile.instances) for tile in before)
    after = list(open_labels(out, images=converted / "images", classes="sota"))
    assert [tile.name for tile in after] == sorted(tile.name for tile in before)
    by_name = {tile.name: tile for tile in before}
    for tile in after:
        own = by_name[tile.name]
        assert _contents(tile) == _contents(own) and tile.split == own.split and tile.image == own.image
        assert tile.labels.read_bytes() == own.labels.read_bytes()
        assert [item.mask_to_box for item in tile.instances] == pytest.approx([i.mask_to_box for i in own.instances])
        assert [item.touches_border for item in tile.instances] == [i.touches_border for i in own.instances]
    first = pickle.loads((out / "ins/P0001__52_12.pkl").read_bytes())[0]
    assert list(first) == ["mask", "bbox", "category", "label", "size"]
    assert first["category"] == "plane" and first["label"] == PLANE and first["size"] == 360
    assert first["bbox"].tolist() == [-2, 8, 18, 28] and first["bbox"].dtype == np.float64


def test_rotated_prompts_give_the_keys_of_fast(make_config: Make, tmp_path: Path, world: Path) -> None:
    (world / "labelTxt" / "P0004.txt").write_text("20 10 30 20 20 30 10 20 ship 0\n", encoding="utf-8")
    predictors = {"box": {"type": "BoxPredictor", "kind": "rbox"}}
    convert_labels(make_config(tiling=None, prompt="rhbox", predictors=predictors))
    export_labels(tmp_path / "out", ["pkl"])
    (row,) = pickle.loads((tmp_path / "out/ins/P0004.pkl").read_bytes())
    assert list(row) == ["mask", "rbox", "rhbox", "category", "label", "size"]
    assert row["rhbox"].tolist() == [10, 10, 30, 30] and row["size"] == 200
    corners = {(round(x), round(y)) for x, y in row["rbox"].tolist()}
    assert corners == {(20, 10), (30, 20), (20, 30), (10, 20)}
    straight = pickle.loads((tmp_path / "out/ins/P0002.pkl").read_bytes())[1]
    assert straight["rbox"].tolist() == [[20, 20], [30, 20], [30, 30], [20, 30]]
    assert not (tmp_path / "out/valid.txt").exists()  # beside gray/ the conversion's own lists stand


def test_corners_of_the_pickles_are_the_labels_own(make_config: Make, tmp_path: Path, world: Path) -> None:
    """DOTA's corners are seldom those of a rectangle; they stay as labelled, moved into the tile."""
    (world / "labelTxt" / "P0004.txt").write_text("20 10.5 33 20 25 31 10 22.3 ship 0\n", encoding="utf-8")
    convert_labels(make_config(tiling={"size": 48, "overlap": 16, "iof_thr": 0.99}, prompt="rhbox"))
    export_labels(tmp_path / "out", ["pkl"])
    (row,) = pickle.loads((tmp_path / "out/ins/P0004__0_0.pkl").read_bytes())
    assert row["rbox"].tolist() == [[20, 10.5], [33, 20], [25, 31], [10, 22.3]]
    (item,) = next(tile for tile in open_labels(tmp_path / "out") if tile.name == "P0004__0_0").instances
    assert item.qbox == (20, 10.5, 33, 20, 25, 31, 10, 22.3)


def test_colour_images(converted: Path) -> None:
    export_labels(converted, ["color"])
    label = np.asarray(Image.open(converted / "gray/P0001__0_0.png"))
    with Image.open(converted / "color/P0001__0_0.png") as file:
        assert file.mode == "RGB"
        colour = np.asarray(file)
    assert (label == SHIP).any() and (colour[label == SHIP] == SOTA.palette[SHIP]).all()
    assert (colour[label == 255] == 255).all()


def test_yolo(converted: Path) -> None:
    (row,) = export_labels(converted, ["yolo"])
    root = converted / "yolo"
    # Tile at column 52, row 12, 48 x 48: the plane is 0-18 x 8-28 there, the ship (30-60 x 30-40) is too far left.
    (line,) = (root / "labels/P0001__52_12.txt").read_text(encoding="utf-8").splitlines()
    label, *numbers = line.split()
    corners = np.array(numbers, float).reshape(-1, 2) * 48
    assert int(label) == PLANE
    assert {(round(x, 3), round(y, 3)) for x, y in corners} == {(0, 8), (18, 8), (18, 28), (0, 28)}
    image = root / "images/P0001__52_12.png"
    assert image.read_bytes() == (converted / "images/P0001__52_12.png").read_bytes()
    tiles = list(open_labels(converted))
    for split in ("train", "val"):
        names = [f"./images/{tile.name}.png" for tile in tiles if tile.split == split]
        assert (root / f"{split}.txt").read_text(encoding="utf-8").split() == names
    text = (root / "data.yaml").read_text(encoding="utf-8").splitlines()
    assert text[:3] == ["train: train.txt", "val: val.txt", "names:"] and text[3 + SHIP] == f'  {SHIP}: "ship"'
    assert row.counts["instances"] == sum(len(tile.instances) for tile in tiles)
    assert not row.counts["with holes, filled"]


def test_yolo_polygons_give_the_masks_back(converted: Path) -> None:
    export_labels(converted, ["yolo"])
    for tile in open_labels(converted):
        lines = (converted / "yolo/labels" / f"{tile.name}.txt").read_text(encoding="utf-8").splitlines()
        for item, line in zip(tile.instances, lines, strict=True):
            shares = np.array(line.split()[1:], float).reshape(-1, 2)
            again = fill_polygon(shares * [tile.size[1], tile.size[0]], tile.size)
            assert np.array_equal(again.full(tile.size), rle_to_crop(item.rle).full(tile.size))


def test_outline_by_hand() -> None:
    thin = mask_outline(MaskCrop(3, 5, np.ones((1, 4), bool)))
    assert {tuple(point) for point in thin.ring.tolist()} == {(3, 5), (7, 5), (7, 6), (3, 6)}
    assert (thin.parts, thin.filled) == (1, 0)
    holed = np.ones((4, 5), bool)
    holed[1:3, 1:3] = False
    outline = mask_outline(MaskCrop(0, 0, holed))
    assert len(outline.ring) == 4 and outline.filled == 4
    apart = np.zeros((3, 6), bool)
    apart[:, :2] = apart[1, 4] = True
    outline = mask_outline(MaskCrop(0, 0, apart))
    # 4 corners and 4 corners, and each end of the bridge (2, 1)-(4, 1) or (2, 2)-(4, 2) once more where it leaves.
    assert outline.parts == 2 and outline.filled == 0 and len(outline.ring) <= 10
    assert np.array_equal(fill_polygon(outline.ring, (3, 6)).full((3, 6)), apart)


@pytest.mark.parametrize("share", [0.1, 0.4, 0.6, 0.9])
def test_outlines_of_any_shape(share: float) -> None:
    rng = np.random.default_rng(7)
    for _ in range(30):
        size = int(rng.integers(1, 14)), int(rng.integers(1, 14))
        mask = rng.random(size) < share
        if not mask.any():
            continue
        outline = mask_outline(crop_mask(mask, 2, 1))
        again = fill_polygon(outline.ring, (size[0] + 1, size[1] + 2)).full((size[0] + 1, size[1] + 2))[1:, 2:]
        assert not (mask & ~again).any()
        assert (again & ~mask).sum() == outline.filled


def test_empty_masks_are_left_out_of_yolo(make_config: Make, tmp_path: Path) -> None:
    convert_labels(make_config(tiling=None))
    path = tmp_path / "out/instances.json"
    lines = path.read_text(encoding="utf-8").splitlines()
    row = json.loads(lines[3].rstrip(","))
    row |= {"segmentation": to_rle(empty_mask(), (60, 100)), "area": 0, "bbox": [0, 0, 0, 0], "empty": True}
    lines[3] = json.dumps(row) + ","
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    pickles, yolo = export_labels(tmp_path / "out", ["pkl", "yolo"], images=tmp_path / "world/images")
    assert yolo.counts["empty masks left out"] == 1 and yolo.counts["instances"] == pickles.counts["instances"] - 1
    assert len((tmp_path / "out/yolo/labels/P0001.txt").read_text(encoding="utf-8").splitlines()) == 2
    assert pickle.loads((tmp_path / "out/ins/P0001.pkl").read_bytes())[0]["size"] == 0
    assert re.search(r"^ +1 +empty masks left out$", export_summary([yolo]), re.MULTILINE)


def test_missing_images_are_named(make_config: Make, tmp_path: Path) -> None:
    convert_labels(make_config(tiling=None))
    with pytest.raises(
        FileNotFoundError, match=r"no image of P000. was found; name the folder of the images with --images"
    ):
        export_labels(tmp_path / "out", ["yolo"], images=tmp_path / "nowhere")


def test_coco_of_a_released_set(converted: Path, tmp_path: Path) -> None:
    coco_module = pytest.importorskip("pycocotools.coco")
    (own,) = export_labels(converted, ["coco"])
    assert own.written == 0 and "from the conversion" in own.place
    released = tmp_path / "dotav2_1024/trainval/hbox_segs_init"
    export_labels(converted, ["pkl"], released)
    rows = export_labels(released.parent, ["pkl", "coco"], tmp_path / "coco", images=converted / "images")
    assert "has its own" in rows[0].place
    assert rows[1].written == len(open_labels(converted))
    again = coco_module.COCO(str(tmp_path / "coco/instances.json"))
    before = json.loads((converted / "instances.json").read_text(encoding="utf-8"))
    assert len(again.getAnnIds()) == len(before["annotations"]) == rows[1].counts["instances"]
    names = {row["id"]: row["file_name"] for row in before["images"]}
    keys = ("category_id", "segmentation", "bbox", "area", "empty", "prompt_box", "touches_border")
    mine = {(names[row["image_id"]], *(str(row[key]) for key in keys)) for row in before["annotations"]}
    images = {row["id"]: row["file_name"] for row in again.loadImgs(again.getImgIds())}
    found = {(images[row["image_id"]], *(str(row[key]) for key in keys)) for row in again.loadAnns(again.getAnnIds())}
    assert found == mine
    assert export_labels(released.parent, ["coco"], tmp_path / "coco")[0].written == 0


def test_going_on_gives_the_same_files(converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    formats = ["pkl", "color", "yolo"]
    whole = export_labels(converted, formats, tmp_path / "whole")
    from rsseg.conversion.exports import formats as module

    calls, real = [], module.write_file

    def fails_at_ninth(path: Path, data: bytes) -> None:
        calls.append(path)
        if len(calls) >= 9:
            raise OSError(28, f"cannot write {path}: No space left on device")
        real(path, data)

    monkeypatch.setattr(module, "write_file", fails_at_ninth)
    with pytest.raises(OSError, match=r"cannot write .*: No space left on device"):
        export_labels(converted, formats, tmp_path / "broken")
    monkeypatch.undo()
    rows = export_labels(converted, formats, tmp_path / "broken")
    assert all(row.found + row.written == whole[0].written for row in rows) and rows[0].found
    assert _files(tmp_path / "broken") == _files(tmp_path / "whole")
    assert all(row.written == 0 for row in export_labels(converted, formats, tmp_path / "broken"))


def test_exports_of_another_conversion_are_not_mixed(make_config: Make, tmp_path: Path) -> None:
    convert_labels(make_config(tiling=None))
    out = tmp_path / "out"
    export_labels(out, ["pkl", "color"])
    convert_labels(make_config(tiling={"size": 48, "overlap": 16, "iof_thr": 0.6}), overwrite=True)
    with pytest.raises(ValueError, match=r"holds color of a conversion with another config: config was {'tiling'"):
        export_labels(out, ["color", "yolo"])
    export_labels(out, ["color"], overwrite=True)
    export_labels(out, ["color", "yolo"])
    with pytest.raises(ValueError, match="holds pkl of a conversion with another config"):
        export_labels(out, ["pkl"])


def test_mended_labels_are_an_error_and_an_update_is_a_fresh_export(
    make_config: Make, world: Path, tmp_path: Path, run_tool: Callable[..., Any]
) -> None:
    formats = ["pkl", "color", "yolo"]
    convert_labels(make_config())
    export_labels(tmp_path / "out", formats, tmp_path / "sent")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "sent").rglob("P0001*.pkl")}
    (world / "labelTxt/P0004.txt").write_text("8 8 24 8 24 20 8 20 plane 0\n")
    (world / "labelTxt/P0002.txt").unlink()
    convert_labels(make_config(), update=True)
    with pytest.raises(
        JobError, match=r"holds pkl of a conversion made from other inputs: 4 tiles are gone .*1 tile changed \(P0004"
    ):
        export_labels(tmp_path / "out", formats, tmp_path / "sent")
    args = ("export_labels", tmp_path / "out", "--out", tmp_path / "sent", "--update", "--to", *formats)
    result = run_tool(*args)
    assert result.returncode == 0, result.stderr
    export_labels(tmp_path / "out", formats, tmp_path / "fresh")
    assert _files(tmp_path / "sent") == _files(tmp_path / "fresh")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_released_set_that_was_mended_is_an_error(converted: Path, tmp_path: Path) -> None:
    release, formats = tmp_path / "release", ["color", "coco"]
    export_labels(converted, ["pkl"], release)

    def export(name: str, **options: Any) -> Any:
        return export_labels(release, formats, tmp_path / name, converted / "images", "sota", **options)

    export("sent")
    kept = (tmp_path / "sent/color/P0001__0_0.png").stat().st_mtime_ns
    labels, pickled = release / "gray/P0004__0_0.png", release / "ins/P0002__0_0.pkl"
    before = labels.stat()
    pixels = np.asarray(Image.open(labels)).copy()
    pixels[0, 0] = 3
    Image.fromarray(pixels).save(labels)
    os.utime(labels, ns=(before.st_atime_ns, before.st_mtime_ns))
    pickled.write_bytes(pickle.dumps(pickle.loads(pickled.read_bytes())[:1]))
    for own in ("color", "coco"):
        with pytest.raises(JobError, match=rf"{own} of a conversion made from .* 2 tiles changed \(P0002__0_0, P0004"):
            export_labels(release, [own], tmp_path / "sent", converted / "images", "sota")
    export("sent", update=True)
    export("fresh")
    assert _files(tmp_path / "sent") == _files(tmp_path / "fresh")
    assert (tmp_path / "sent/color/P0001__0_0.png").stat().st_mtime_ns == kept
    export("sent", overwrite=True)
    assert _files(tmp_path / "sent") == _files(tmp_path / "fresh")


def test_a_new_split_needs_no_new_masks(make_config: Make, tmp_path: Path) -> None:
    config = make_config()
    convert_labels(config)
    export_labels(tmp_path / "out", ["yolo"])
    before = (tmp_path / "out/yolo/val.txt").read_text(encoding="utf-8")
    convert_labels(config | {"split": {**config["split"], "val_fraction": 0.67}})
    (row,) = export_labels(tmp_path / "out", ["yolo"])
    assert row.written == 0 and (tmp_path / "out/yolo/val.txt").read_text(encoding="utf-8") != before


def test_formats_are_checked(converted: Path) -> None:
    with pytest.raises(ValueError, match="unknown format 'voc'; expected one of: pkl, color, yolo, coco"):
        export_labels(converted, ["pkl", "voc"])
    with pytest.raises(ValueError, match="unknown format"):
        export_labels(converted, [])
