"""COCO files: what is written is one annotation a line, and any program's COCO."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pycocotools.coco import COCO

from rsseg.errors import AnnotationError, DataError
from rsseg.io.coco import CocoWriter, read_categories, read_sections, stream_annotations


def write(path: Path) -> None:
    with path.open("wb") as file:
        writer = CocoWriter(file, "a set", ["ship", "Straße"])
        writer.add_image({"file_name": "a.png", "height": 3, "width": 4})
        writer.add_annotation(1, {"bbox": [1, 0, 2, 3], "area": 2})
        writer.add_image({"file_name": "b.png", "height": 3, "width": 4})
        writer.add_annotation(0, {"bbox": [0, 0, 1, 1], "area": 1})
        writer.add_annotation(1, {"bbox": [0, 0, 1, 1], "area": 1})
        writer.close()
    assert writer.annotations == 3


def test_a_file_by_hand(tmp_path: Path) -> None:
    write(tmp_path / "coco.json")
    assert (tmp_path / "coco.json").read_text(encoding="utf-8").splitlines() == [
        '{"info":{"description":"a set"},',
        '"categories":[{"id":1,"name":"ship"},{"id":2,"name":"Straße"}],',
        '"annotations":[',
        '{"id":1,"image_id":1,"category_id":2,"iscrowd":0,"bbox":[1,0,2,3],"area":2},',
        '{"id":2,"image_id":2,"category_id":1,"iscrowd":0,"bbox":[0,0,1,1],"area":1},',
        '{"id":3,"image_id":2,"category_id":2,"iscrowd":0,"bbox":[0,0,1,1],"area":1}',
        "],",
        '"images":[',
        '{"id":1,"file_name":"a.png","height":3,"width":4},',
        '{"id":2,"file_name":"b.png","height":3,"width":4}',
        "]}",
    ]


def test_rows_that_are_text_already_are_copied(tmp_path: Path) -> None:
    with (tmp_path / "coco.json").open("wb") as file:
        writer = CocoWriter(file, "a set", ["ship", "tank"])
        writer.add_image({"file_name": "a.png"})
        writer.add_encoded([], [])
        writer.add_encoded([1, 0], [b'{"area":2}', b'{"area":1}'], {"origin": "Straße"})
        writer.add_encoded([1], [b'{"area":3}'])
        writer.close()
    assert writer.annotations == 3
    assert (tmp_path / "coco.json").read_text(encoding="utf-8").splitlines()[2:6] == [
        '"annotations":[',
        '{"id":1,"image_id":1,"category_id":2,"iscrowd":0,"area":2,"origin":"Straße"},',
        '{"id":2,"image_id":1,"category_id":1,"iscrowd":0,"area":1,"origin":"Straße"},',
        '{"id":3,"image_id":1,"category_id":2,"iscrowd":0,"area":3}',
    ]


def test_every_reader_finds_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "coco.json"
    write(path)
    data = json.loads(path.read_bytes())
    assert read_sections(path) == {key: data[key] for key in ("images", "annotations", "categories")}
    rows = stream_annotations(path)
    assert rows is not None and list(rows) == data["annotations"]
    assert read_categories(path) == data["categories"]
    assert len(COCO(str(path)).getAnnIds(imgIds=[2])) == 2
    for options in ({"indent": 1}, {"sort_keys": True}, {}):
        path.write_text(json.dumps(data, **options), encoding="utf-8")  # type: ignore[arg-type]
        assert stream_annotations(path) is None
        assert read_sections(path)["annotations"] == data["annotations"] and read_categories(path) == data["categories"]


def test_empty_and_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    with path.open("wb") as file:
        CocoWriter(file, "", []).close()
    assert read_sections(path) == {"images": [], "annotations": [], "categories": []}
    rows = stream_annotations(path)
    assert rows is not None and list(rows) == []
    write(path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index('"images"') - 4], encoding="utf-8")
    rows = stream_annotations(path)
    assert rows is not None
    with pytest.raises(DataError, match=r"coco.json does not have one annotation per line to its end"):
        list(rows)
    with pytest.raises(AnnotationError, match="not a complete JSON file"):
        read_sections(path)
    path.write_text("[]")
    with pytest.raises(AnnotationError, match="must hold an object with the lists images, annotations, categories"):
        read_sections(path)
    path.write_text('{"images": [], "annotations": {}}')
    with pytest.raises(AnnotationError, match='"annotations" must be a list of objects'):
        read_sections(path)
