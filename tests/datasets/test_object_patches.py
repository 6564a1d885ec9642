"""Objects with masks as patches: from COCO files and converted sets, and scenes that stay together."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsseg.datasets.masked_objects import read_masked_images
from rsseg.datasets.object_patches import ObjectPatches, hold_out

_CLASSES = {"name": "two", "source": "test", "categories": [
    {"id": 0, "name": "ship", "color": "#FF0000"}, {"id": 1, "name": "tank", "color": "#00FF00"}]}  # fmt: skip


@pytest.fixture
def coco(tmp_path: Path) -> dict[str, Any]:
    """Ten images of 60 x 80, each with a ship (a bar) and a tank (a triangle)."""
    (tmp_path / "images").mkdir()
    (tmp_path / "two.json").write_text(json.dumps(_CLASSES), encoding="utf-8")
    images, annotations = [], []
    for i in range(10):
        pixels = np.full((60, 80, 3), 60, np.uint8)
        pixels[10:20, 5:35] = 200
        Image.fromarray(pixels).save(tmp_path / "images" / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "height": 60, "width": 80})
        shapes = [(1, [5, 10, 35, 10, 35, 20, 5, 20], [5, 10, 30, 10]), (2, [50, 30, 70, 30, 60, 50], [50, 30, 20, 20])]
        for category, polygon, box in shapes:
            row = {"id": len(annotations), "image_id": i, "category_id": category, "bbox": box, "iscrowd": 0}
            annotations.append({**row, "segmentation": [polygon], "area": 300})
    categories = [{"id": 1, "name": "ship"}, {"id": 2, "name": "tank"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "labels.json").write_text(json.dumps(content), encoding="utf-8")
    return {
        "format": "coco",
        "images": str(tmp_path / "images"),
        "annotations": str(tmp_path / "labels.json"),
        "classes": str(tmp_path / "two.json"),
        "truth": {"kind": "coco"},
    }


def test_boxes_masks_and_rotated_boxes(coco: dict[str, Any]) -> None:
    found = next(iter(read_masked_images({**coco, "stems": ["3"]})))
    assert found.labels == ["ship", "tank"] and found.scene == "3"
    assert found.hbox.tolist() == [[5, 10, 35, 20], [50, 30, 70, 50]]
    assert found.masks[0].area == 300 and found.masks[0].bbox == (5, 10, 35, 20)
    # the bar's own rectangle, corners in some order
    assert sorted(found.qbox[0].round(3).tolist()) == [[5, 10], [5, 20], [35, 10], [35, 20]]


def test_patch_shows_the_object(coco: dict[str, Any]) -> None:
    patches = ObjectPatches([{**coco, "omit": ["tank"]}], part="all", size=60, context=2.0, least=20)
    assert len(patches) == 10 and patches.labels == ["ship"] * 10
    sample = patches[0]
    # 60 image pixels around (20, 15), so one patch pixel is one image pixel
    assert sample["boxes"].tolist() == [15, 25, 45, 35]
    assert int((sample["masks"] > 127).sum()) == 300 and (sample["pixels"][:, 25:35, 15:45] == 200).all()
    assert (sample["pixels"][:, :10] == 127).all()  # above the image
    assert sample["hulls"].amin(0).tolist() == [15, 25] and sample["hulls"].amax(0).tolist() == [45, 35]
    assert float(sample["least"]) == pytest.approx(10)  # 20 / 2.0 image pixels


def test_scenes_are_held_out_as_a_whole(coco: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "scenes.txt").write_text("0 1 2\n3 4 5\n", encoding="utf-8")
    spec = {**coco, "scenes": str(tmp_path / "scenes.txt")}
    train, held = (ObjectPatches([spec], part=part, held_out=0.3, size=32) for part in ("train", "held_out"))
    assert len(train) + len(held) == 20
    scenes = ["a", "a", "b", "c", "d"]
    masks = [1, 1, 2, 2, 40]
    out = hold_out(scenes, masks, 0.11, 0)
    assert len(out) == 3 and out == hold_out(scenes, masks, 0.11, 0) and "d" not in out  # 6 of 46
    assert hold_out(["a"], [5], 0.5, 0) == set()
    assert hold_out(["a", "b"], [9, 8], 0.1, 0) == {"b"}  # each is too large
    extra = {**coco, "train_only": True}
    assert len(ObjectPatches([spec, extra], part="held_out", held_out=0.3, size=32)) == len(held)
    assert len(ObjectPatches([spec, extra], part="train", held_out=0.3, size=32)) == len(train) + 20


def test_converted_sets_have_masks_too(coco: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from mmengine.config import Config

    from rsseg.conversion import convert_labels

    base = Config.fromfile(Path(__file__).parents[2] / "configs/_base_/convert.py").to_dict()
    source = {key: value for key, value in coco.items() if key != "truth"}
    out = tmp_path / "out"
    convert_labels({**base, "source": source, "out_dir": str(out), "predictor": "truth", "truth": coco["truth"]})
    own, converted = (list(read_masked_images(spec)) for spec in (coco, {"labels": str(out)}))
    converted.sort(key=lambda found: found.image.stem)
    for a, b in zip(sorted(own, key=lambda found: found.image.stem), converted, strict=True):
        assert a.labels == b.labels and (a.hbox == b.hbox).all()
        assert all((p.full((60, 80)) == q.full((60, 80))).all() for p, q in zip(a.masks, b.masks, strict=True))
    (tmp_path / "some.txt").write_text("3\n5\n", encoding="utf-8")
    for stems in (["3", "5"], str(tmp_path / "some.txt"), tmp_path / "some.txt"):
        some = read_masked_images({"labels": str(out), "stems": stems})
        assert sorted(found.image.stem for found in some) == ["3", "5"]
    assert list(read_masked_images({"labels": str(out), "stems": ["none"]})) == [] and "'none'" in caplog.text


def test_what_is_left_out_is_told(coco: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    labels = Path(coco["annotations"])
    content = json.loads(labels.read_text())
    content["annotations"][0]["bbox"] = [500, 500, 5, 5]
    labels.write_text(json.dumps(content), encoding="utf-8")
    found = list(read_masked_images({**coco, "stems": ["0", "none"]}))
    assert [each.labels for each in found] == [["tank"]]
    assert "box outside the image" in caplog.text and "'none'" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(truth=None, folder="x"), "unknown key 'folder'"),
        (dict(omit=["plane"]), "'plane', which is no class"),
    ],
)
def test_sets_that_cannot_be(coco: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ObjectPatches([{**coco, **change}])


def test_options_that_cannot_be(coco: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="part must be one of"):
        ObjectPatches([coco], part="val")
    with pytest.raises(ValueError, match="held_out must be"):
        ObjectPatches([coco], held_out=1.0)
    with pytest.raises(ValueError, match="max_masks must be at least 1, not 0"):
        ObjectPatches([coco], max_masks=0)
    with pytest.raises(ValueError, match="lacks 'truth'"):
        ObjectPatches([{key: value for key, value in coco.items() if key != "truth"}])
    with pytest.raises(ValueError, match="no object with a mask"):
        ObjectPatches([{**coco, "omit": ["ship", "tank"]}])
