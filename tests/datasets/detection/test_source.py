"""Pairing of images and labels, and the comparison of boxes with the real image."""

import json
import pickle

import numpy as np
import pytest
from PIL import Image

from rsseg.datasets.detection import AnnotationError, SourceItem, open_source
from rsseg.metainfo import load_metainfo

SOTA = load_metainfo("sota")
LABEL = "10 20 30 20 30 60 10 60 ship 0\n"


def picture(path, size=(100, 200)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(path)
    return path


def label(path, text=LABEL):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def folders(tmp_path):
    """Empty ``images`` and ``labelTxt`` under a path with spaces and letters beyond ASCII."""
    root = tmp_path / "Daten ü 影像"
    for name in ("images", "labelTxt"):
        (root / name).mkdir(parents=True)
    return root / "images", root / "labelTxt"


def problems_of(folders, **kwargs):
    """What ``skip`` lists; ``raise`` must raise the first of it."""
    source = open_source("dota", *folders, SOTA, on_error="skip", **kwargs)
    if source.problems:
        with pytest.raises(AnnotationError) as caught:
            open_source("dota", *folders, SOTA, **kwargs)
        assert str(caught.value) == str(source.problems[0])
    return source


def test_every_format_opens_and_reads(label_format, row, tmp_path):
    name = "Tugboat" if label_format.key == "fair1m" else "ship"
    path = label_format.write(tmp_path / "labels", [row(name), row(name)])
    image = picture(tmp_path / "images" / "a.png")
    annotations = path if label_format.name == "coco" else path.parent
    source = open_source(label_format.name, str(image.parent), str(annotations), label_format.table)
    assert source.items == [SourceItem("a", image, path)]
    assert source.problems == [] and source.without_annotation == []
    record = pickle.loads(pickle.dumps(source)).read(source.items[0])
    assert len(record) == 2 and record.size == (100, 200)


def test_items_are_sorted_and_suffixes_have_no_case(folders):
    images, labels = folders
    for name in ("c.JPG", "a.png", "deep/er/b.Tif", "z.png"):
        picture(images / name)
    for name in ("a.txt", "deep/b.txt", "c.TXT"):
        label(labels / name)
    label(labels / ".hidden.txt")
    label(labels / "notes.md")
    source = problems_of(folders)
    assert [item.stem for item in source.items] == ["a", "b", "c"]
    assert source.items[1] == SourceItem("b", images / "deep/er/b.Tif", labels / "deep/b.txt")
    assert source.without_annotation == [images / "z.png"] and source.problems == []


def test_suffixes_can_be_chosen(folders):
    images, labels = folders
    for name in ("a.png", "a.jpg"):
        picture(images / name)
    label(labels / "a.txt")
    source = open_source("dota", images, labels, SOTA, suffixes=(".jpg",))
    assert source.items[0].image == images / "a.jpg"


@pytest.mark.parametrize(
    ("pictures", "labels"),
    [
        (["a.png", "a.jpg", "b.png"], ["a.txt", "b.txt"]),
        (["a.png", "sub/a.png", "b.png"], ["a.txt", "b.txt"]),
        (["a.png", "b.png"], ["train/a.txt", "val/a.txt", "b.txt"]),
    ],
)
def test_duplicate_stems(folders, pictures, labels):
    for name in pictures:
        picture(folders[0] / name)
    for name in labels:
        label(folders[1] / name)
    source = problems_of(folders)
    assert [item.stem for item in source.items] == ["b"] and source.without_annotation == []
    (problem,) = source.problems
    assert problem.value == "a" and problem.line is None and "more than once" in problem.reason
    assert problem.path.name in ("a.jpg", "a.png", "a.txt")


def test_equal_stems_in_equal_folders_are_pairs(folders):
    for sub in ("north", "south"):
        picture(folders[0] / sub / "0001.png")
        label(folders[1] / sub / "0001.txt")
    picture(folders[0] / "b.png")
    label(folders[1] / "b.txt")
    source = problems_of(folders)
    assert source.problems == [] and source.collisions == []
    assert [(item.stem, item.annotation.parent.name) for item in source.items] == [
        ("b", folders[1].name), ("north__0001", "north"), ("south__0001", "south"),
    ]  # fmt: skip


def test_coco_names_that_folders_do_not_tell_apart(tmp_path):
    names = ["a.png", "a.tif", "b.png"]
    for name in names:
        picture(tmp_path / "images" / name, (10, 20))
    rows = [{"id": k, "file_name": name, "height": 10, "width": 20} for k, name in enumerate(names)]
    path = tmp_path / "instances.json"
    path.write_text(json.dumps({"images": rows, "annotations": [], "categories": []}))
    source = open_source("coco", tmp_path / "images", path, SOTA, on_error="skip")
    assert source.items == [] and source.problems == source.collisions
    assert "a.png and " in source.collisions[0].reason and "one stem" in source.collisions[0].reason


def test_equal_stems_without_labels_are_in_nobodys_way(folders):
    for name in ("a.png", "x/b.png", "y/b.png"):
        picture(folders[0] / name)
    label(folders[1] / "a.txt")
    source = problems_of(folders)
    assert [item.stem for item in source.items] == ["a"] and source.collisions == []
    assert source.problems[0].value == "b"


def test_stems_that_differ_by_case_only(folders):
    for name in ("a", "A"):
        picture(folders[0] / f"{name}.png")
        label(folders[1] / f"{name}.txt")
    source = problems_of(folders)
    assert source.items == [] and "have one stem" in source.collisions[0].reason


def test_a_label_without_image(folders):
    picture(folders[0] / "a.png")
    for name in ("a.txt", "b.txt"):
        label(folders[1] / name)
    source = problems_of(folders)
    assert [item.stem for item in source.items] == ["a"]
    (problem,) = source.problems
    assert (problem.path, problem.value) == (folders[1] / "b.txt", "b")
    assert "no image" in problem.reason and ".png" in problem.reason


def test_only_some_stems(folders, tmp_path):
    for name in ("a", "b", "c"):
        picture(folders[0] / f"{name}.png")
        label(folders[1] / f"{name}.txt")
    picture(folders[0] / "bare.png")
    label(folders[1] / "orphan.txt")
    listing = tmp_path / "some.txt"
    listing.write_text("\ufeffc\r\n\r\na\r\nbare\r\n", encoding="utf-8")
    for stems in (["c", "a", "bare"], listing, str(listing)):
        source = open_source("dota", *folders, SOTA, stems=stems)
        assert [item.stem for item in source.items] == ["a", "c"]
        assert source.without_annotation == [folders[0] / "bare.png"]
    listing.write_text("a\nghost\n")
    source = problems_of(folders, stems=listing)
    assert [item.stem for item in source.items] == ["a"]
    (problem,) = source.problems
    assert (problem.path, problem.value) == (listing, "ghost")
    assert problems_of(folders, stems=["ghost"]).problems[0].path == folders[1]


def test_what_must_exist(folders, tmp_path):
    images, labels = folders
    nowhere = tmp_path / "nowhere"
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder; expected the images"):
        open_source("dota", nowhere, labels, SOTA)
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder; expected dota label files \(\*\.txt"):
        open_source("dota", images, nowhere, SOTA)
    with pytest.raises(FileNotFoundError, match="labelTxt: no such file; expected a COCO instances JSON"):
        open_source("coco", images, labels, SOTA)
    with pytest.raises(FileNotFoundError, match="nowhere: no such file; expected a text file with one image stem"):
        open_source("dota", images, labels, SOTA, stems=nowhere)
    with pytest.raises(ValueError, match="format 'yolo'; expected one of: dota, dior, fair1m, hrsc, coco"):
        open_source("yolo", images, labels, SOTA)
    with pytest.raises(ValueError, match="on_error"):
        open_source("dota", images, labels, SOTA, on_error="warn")


def test_boxes_are_compared_with_the_image_file(folders):
    picture(folders[0] / "a.png", (50, 40))
    label(folders[1] / "a.txt", LABEL + "60 0 90 0 90 9 60 9 ship 0\n")
    source = open_source("dota", *folders, SOTA, on_error="skip")
    record = source.read(source.items[0])
    assert record.object_ids == ["1"] and record.size == (50, 40)
    assert [(p.line, p.value) for p in record.problems] == [(2, "60 0 90 0 90 9 60 9")]
    strict = open_source("dota", *folders, SOTA)
    with pytest.raises(AnnotationError, match="50 x 40"):
        strict.read(strict.items[0])


def test_label_file_of_another_image(formats, row, tmp_path):
    path = formats["dior"].write(tmp_path / "labels", [row()], size=(800, 800))
    picture(tmp_path / "images" / "a.png", (100, 200))
    args = ("dior", tmp_path / "images", path.parent, formats["dior"].table)
    source = open_source(*args)
    with pytest.raises(AnnotationError, match=r"states another .*\(100, 200\).*\(800, 800\)"):
        source.read(source.items[0])
    record = open_source(*args, on_error="skip").read(source.items[0])
    assert len(record) == 0 and len(record.problems) == 1 and record.size == (100, 200)


def test_broken_image_file(folders):
    (folders[0] / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    label(folders[1] / "a.txt")
    source = open_source("dota", *folders, SOTA, on_error="skip")
    record = source.read(source.items[0])
    assert len(record) == 1 and record.size is None and record.problems[0].path == folders[0] / "a.png"


def test_coco_images_and_their_problems(tmp_path):
    images = tmp_path / "images"
    names = ["b.png", "sub/a.png", "x/c.png", "y/c.png", "gone.png"]
    for name in (*names[:-1], "unlisted.png", "other/a.png"):
        picture(images / name, (10, 20))
    rows = [{"id": k, "file_name": name, "height": 10, "width": 20} for k, name in enumerate(names)]
    boxes = [{"id": k, "image_id": k, "category_id": 1, "bbox": [1, 2, 3, 4]} for k in range(5)]
    boxes.append({"id": 9, "image_id": 77, "category_id": 1, "bbox": [1, 2, 3, 4]})
    path = tmp_path / "instances.json"
    data = {"images": rows, "annotations": boxes, "categories": [{"id": 1, "name": "ship"}]}
    path.write_text(json.dumps(data))
    source = open_source("coco", images, path, SOTA, on_error="skip")
    found = {"a": "sub/a.png", "b": "b.png", "x__c": "x/c.png", "y__c": "y/c.png"}  # folders tell equal names apart
    assert {item.stem: item.image for item in source.items} == {stem: images / name for stem, name in found.items()}
    assert all(item.annotation == path for item in source.items)
    assert [problem.value for problem in source.problems] == ["77", "gone.png"]
    assert images / "unlisted.png" in source.without_annotation
    assert images / "other/a.png" in source.without_annotation
    assert source.read(source.items[0]).object_ids == ["1"]
    only = open_source("coco", images, path, SOTA, on_error="skip", stems=["b"])
    assert [item.stem for item in only.items] == ["b"]
