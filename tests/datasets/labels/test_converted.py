"""Reading a converted set back; the files are written here as the conversion writes them."""

import json
from pathlib import Path
from typing import Any

import pytest

from rsseg.datasets.labels import open_labels
from rsseg.datasets.labels.converted import converted_classes
from rsseg.errors import DataError

# A 3 x 4 tile: column-major runs. 5 zeros, 2 ones, 5 zeros: column 1, rows 2; column 2, row 0 -> "525".
MASK = {"size": [3, 4], "counts": "525"}


def annotation(number: int, image: int, **changes: Any) -> dict[str, Any]:
    row = {"id": number, "image_id": image, "category_id": 6, "iscrowd": 0, "segmentation": MASK,
           "bbox": [1, 0, 2, 3], "area": 2, "empty": False, "predicted_iou": 0.9, "stability": None,
           "prompt_box": [1.0, 0.0, 3.5, 3.0], "source_object_id": "1", "difficult": False}  # fmt: skip
    return {**row, "mask_to_box": 0.25, "touches_border": True} | changes


def write_converted(root: Path, annotations: list[dict[str, Any]], images: Path) -> None:
    """Three tiles, of which the second has no object."""
    (root / "gray").mkdir(parents=True)
    manifest = {"label_set": "SOTA", "prompt": "hbox", "config": {"source": {"classes": "sota", "images": str(images)}}}
    (root / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    lines = ["tile,source,x,y,width,height,split"]
    lines += [f"P1__{x}_2,a/P1.png,{x},2,4,3,{split}" for x, split in ((0, "train"), (7, "val"), (9, "val"))]
    (root / "tiles.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    rows = ",".join("\n" + json.dumps(row) for row in annotations)
    text = f'{{"info":{{}},\n"categories":[],\n"annotations":[{rows}\n],\n"images":[\n]}}\n'
    (root / "instances.json").write_text(text, encoding="utf-8")


def test_tiles_with_their_instances(tmp_path: Path) -> None:
    rows = [annotation(1, 1), annotation(2, 1, category_id=1, bbox=[0, 0, 0, 0], area=0), annotation(3, 3)]
    write_converted(tmp_path / "set", rows, tmp_path)
    found = open_labels(tmp_path / "set")
    tiles = list(found)
    assert len(found) == len(tiles) == 3 and found.table.name == "SOTA" and found.manifest is not None
    assert [len(tile.instances) for tile in tiles] == [2, 0, 1]
    first, empty = tiles[0].instances
    assert (first.label, first.area, first.bbox, first.rle) == (5, 2, (1, 0, 3, 3), MASK)
    assert (first.predicted_iou, first.stability, first.mask_to_box) == (0.9, None, 0.25)
    assert first.prompt_box == (1.0, 0.0, 3.5, 3.0) and first.rbox is None and first.touches_border
    assert empty.label == 0 and empty.area == 0 and empty.bbox == (0, 0, 0, 0)
    tile = tiles[1]
    assert (tile.name, tile.source, tile.size, tile.offset, tile.split) == (
        "P1__7_2",
        "a/P1.png",
        (3, 4),
        (7, 2),
        "val",
    )
    assert tile.image is None and tile.labels == tmp_path / "set/gray/P1__7_2.png"
    assert list(found) == tiles


def test_images_are_tiles_or_sources(tmp_path: Path) -> None:
    write_converted(tmp_path / "set", [], tmp_path)
    (tmp_path / "moved" / "a").mkdir(parents=True)
    (tmp_path / "moved/a/P1.png").touch()
    (tmp_path / "set/images").mkdir()
    (tmp_path / "set/images/P1__7_2.png").touch()
    tiles = list(open_labels(tmp_path / "set", images=tmp_path / "moved"))
    assert tiles[0].image == tmp_path / "moved/a/P1.png"
    assert tiles[1].image == tmp_path / "set/images/P1__7_2.png"


def test_damage_is_named(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_converted(root, [annotation(1, 2), annotation(2, 1)], tmp_path)
    with pytest.raises(ValueError, match="image id 1 is not in the order"):
        list(open_labels(root))
    text = (root / "instances.json").read_text(encoding="utf-8")
    (root / "instances.json").write_text(text[:140], encoding="utf-8")
    with pytest.raises(ValueError, match=r"instances.json, line 4"):
        list(open_labels(root))
    (tmp_path / "again").mkdir()
    write_converted(tmp_path / "again" / "set", [annotation(1, 1)], tmp_path)
    whole = (tmp_path / "again" / "set" / "instances.json").read_text(encoding="utf-8")
    (root / "instances.json").write_text(whole[: whole.rindex('"images"') - 4], encoding="utf-8")
    with pytest.raises(ValueError, match=r"instances.json does not have one"):
        list(open_labels(root))
    (root / "tiles.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"tiles.csv is missing; run rsseg convert"):
        open_labels(root)


@pytest.mark.parametrize("where", ["manifest", "categories", "one line"])
def test_other_classes_are_an_error_that_names_both_lists(tmp_path: Path, where: str) -> None:
    rows = [{"id": i, "name": name, "color": "#000000"} for i, name in enumerate(("ship", "plane"))]
    for name, own in (
        ("same", rows),
        ("swapped", rows[::-1]),
        ("longer", [*rows, {"name": "car", "color": "#000001"}]),
    ):
        table = {"name": name, "source": "", "categories": [{**row, "id": i} for i, row in enumerate(own)]}
        (tmp_path / f"{name}.json").write_text(json.dumps(table))
    background = {"id": 2, "name": "background", "color": "#FFFFFF", "raw": [255]}
    (tmp_path / "more.json").write_text(json.dumps({"name": "m", "source": "", "categories": [*rows, background]}))
    root = tmp_path / "set"
    write_converted(root, [], tmp_path)
    manifest = {"config": {"source": {"classes": str(tmp_path / "same.json"), "images": str(tmp_path)}}}
    if where == "manifest":
        manifest["classes"] = ["ship", "plane"]
    (root / "manifest.json").write_text(json.dumps(manifest))
    categories = json.dumps([{"id": 1, "name": "ship"}, {"id": 2, "name": "plane"}])
    if where == "categories":  # as earlier versions wrote them
        (root / "instances.json").write_text(
            f'{{"info":{{}},\n"categories":{categories},\n"annotations":[\n],\n"images":[]}}'
        )
    elif where == "one line":
        (root / "instances.json").write_text(f'{{"images": [], "categories": {categories}, "annotations": []}}')
    assert converted_classes(root) == ("ship", "plane")
    assert open_labels(root).table.name == "same"
    for name, own in (("swapped", "plane, ship"), ("longer", "ship, plane, car")):
        with pytest.raises(
            DataError, match=f"with the classes ship, plane; the class table {name} has {own}. Names and"
        ):
            open_labels(root, classes=str(tmp_path / f"{name}.json"))
    assert open_labels(root, classes=str(tmp_path / "more.json"))  # stands for pixels without a label
