"""A converted set whose instances.json another program read and saved: pycocotools, CVAT, Label Studio, a script."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pycocotools import mask as coco

from rsseg.datasets.labels import open_labels
from rsseg.errors import DataError
from rsseg.io.coco import CocoWriter

# Two tiles of 6 x 8. The first has a rectangle of columns 2-6, rows 1-3 (a ship) and one pixel at (7, 5) (a plane).
SIZE = (6, 8)
RECTANGLE = [13, 3, 3, 3, 3, 3, 3, 3, 3, 3, 8]  # zeros and ones down the columns: 2 * 6 + 1, three, three ...
PIXEL = [47, 1]
POLYGON = [2, 1, 7, 1, 7, 4, 2, 4]
Sections = dict[str, list[dict[str, Any]]]


def compressed(counts: list[int]) -> dict[str, Any]:
    rle = coco.frPyObjects({"size": list(SIZE), "counts": counts}, *SIZE)
    return {"size": list(SIZE), "counts": rle["counts"].decode()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A set as the conversion writes it."""
    folder = tmp_path / "set"
    folder.mkdir()
    rows = [{"id": i, "name": name, "color": f"#00000{i}"} for i, name in enumerate(("ship", "plane"))]
    (tmp_path / "table.json").write_text(json.dumps({"name": "own", "source": "", "categories": rows}))
    config = {"source": {"classes": str(tmp_path / "table.json"), "images": str(tmp_path)}}
    (folder / "manifest.json").write_text(json.dumps({"config": config, "classes": ["ship", "plane"]}))
    lines = ["tile,source,x,y,width,height,split", "P1__0_0,P1.png,0,0,8,6,train", "P1__4_0,P1.png,4,0,8,6,val"]
    (folder / "tiles.csv").write_text("\n".join(lines) + "\n")
    with (folder / "instances.json").open("wb") as file:
        writer = CocoWriter(file, "own, converted by rsseg", ["ship", "plane"])
        more = {"predicted_iou": 0.9, "stability": None, "prompt_box": [2.0, 1.0, 7.0, 4.0], "source_object_id": "7"}
        writer.add_image({"file_name": "P1__0_0.png", "width": 8, "height": 6, "source_image": "P1.png"})
        ship = {"segmentation": compressed(RECTANGLE), "bbox": [2, 1, 5, 3], "area": 15, "touches_border": False}
        plane = {"segmentation": compressed(PIXEL), "bbox": [7, 5, 1, 1], "area": 1, "touches_border": True}
        writer.add_annotation(0, {**ship, **more})
        writer.add_annotation(1, {**plane, **more})
        writer.add_image({"file_name": "P1__4_0.png", "width": 8, "height": 6, "source_image": "P1.png"})
        writer.add_annotation(1, {**plane, **more})
        writer.close()
    return folder


def renumbered(data: Sections) -> None:
    """All ids anew, and the images and annotations in another order, as CVAT exports them."""
    images = {row["id"]: 100 - row["id"] for row in data["images"]}
    categories = {row["id"]: 7 - row["id"] for row in data["categories"]}
    for row in data["annotations"]:
        row["image_id"], row["category_id"] = images[row["image_id"]], categories[row["category_id"]]
        row["id"] += 1000
    for kind, ids in (("images", images), ("categories", categories)):
        for row in data[kind]:
            row["id"] = ids[row["id"]]
        data[kind].reverse()
    data["annotations"] = [data["annotations"][2], *data["annotations"][:2]]


def uncompressed(data: Sections) -> None:
    for row, counts in zip(data["annotations"], (RECTANGLE, PIXEL, PIXEL), strict=True):
        row["segmentation"]["counts"] = counts


def polygons(data: Sections) -> None:
    shapes = [POLYGON], [[7, 5, 8, 5, 8, 6, 7, 6]], [[7, 5, 8, 5, 8, 6, 7, 6]]
    for row, shape in zip(data["annotations"], shapes, strict=True):
        row["segmentation"] = [[float(value) for value in part] for part in shape]
        row["area"], row["bbox"] = float(row["area"]), [float(value) for value in row["bbox"]]


def only_required(data: Sections) -> None:
    for row in data["annotations"]:
        for key in [*row]:
            if key not in ("id", "image_id", "category_id", "segmentation"):
                del row[key]
    for row in data["images"]:
        del row["width"], row["height"], row["source_image"]


def other_names(data: Sections) -> None:
    for row in data["images"]:
        row["file_name"] = rf"C:\export\images\{row['file_name'].replace('.png', '.jpg')}"


def floats(data: Sections) -> None:
    for row in data["annotations"]:
        row["area"], row["bbox"] = float(row["area"]), [float(value) for value in row["bbox"]]


CHANGES = [lambda data: None, renumbered, uncompressed, polygons, only_required, other_names, floats]


@pytest.mark.parametrize("options", [{}, {"indent": 2}, {"separators": (",", ":"), "sort_keys": True}])
@pytest.mark.parametrize("change", CHANGES)
def test_a_set_saved_by_another_program(
    root: Path, change: Callable[[Sections], None], options: dict[str, Any]
) -> None:
    own = [tile.instances for tile in open_labels(root)]
    data = json.loads((root / "instances.json").read_bytes())
    change(data)
    (root / "instances.json").write_text(json.dumps(data, **options), encoding="utf-8")
    tiles = [tile.instances for tile in open_labels(root)]
    assert [[item.label for item in tile] for tile in tiles] == [[0, 1], [1]]
    ship, plane = tiles[0]
    assert (ship.area, ship.bbox, ship.touches_border) == (15, (2, 1, 7, 4), False)
    assert (plane.area, plane.bbox, plane.touches_border) == (1, (7, 5, 8, 6), True)
    assert ship.rle == compressed(RECTANGLE) and plane.rle == compressed(PIXEL)
    if change is not only_required:
        assert tiles == own and ship.predicted_iou == 0.9 and ship.source_object_id == "7"
    else:
        assert (ship.predicted_iou, ship.prompt_box, ship.source_object_id) == (None, None, None)


def test_images_without_objects_may_be_gone(root: Path) -> None:
    data = json.loads((root / "instances.json").read_bytes())
    data["images"], data["annotations"] = data["images"][:1], data["annotations"][:2]
    (root / "instances.json").write_text(json.dumps(data))
    assert [len(tile.instances) for tile in open_labels(root)] == [2, 0]


MISTAKES: list[tuple[Callable[[Sections], Any], str]] = [
    (lambda data: data["images"][0].update(file_name="x.png"), "image 1 has file_name 'x.png', which matches no tile"),
    (lambda data: data["annotations"][1].update(image_id=9), "annotation 2 has image_id 9, the id of no entry"),
    (
        lambda data: data["annotations"][1].update(category_id=9),
        r"annotation 2 \(tile P1__0_0\): category_id 9 is",
    ),
    (lambda data: data["annotations"][0].pop("segmentation"), 'annotation 1 .*"segmentation" must be an RLE'),
    (lambda data: data["annotations"][0].update(segmentation=[[1, 2, 3]]), '"segmentation" must be an RLE, or a list'),
    (
        lambda data: data["annotations"][0]["segmentation"].update(size=[8, 6]),
        r"the image's size \(H, W\), \[6, 8\]",
    ),
    (lambda data: data["categories"][0].update(name="boat"), "'boat' is not a class of own"),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES)
def test_what_cannot_be_understood_is_named(root: Path, change: Callable[[Sections], Any], message: str) -> None:
    data = json.loads((root / "instances.json").read_bytes())
    change(data)
    (root / "instances.json").write_text(json.dumps(data))
    with pytest.raises(DataError, match=rf"instances.json: .*{message}"):
        list(open_labels(root))
