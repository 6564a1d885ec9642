"""The readers on real files; skipped where the samples are absent."""

from collections import Counter

import numpy as np
import pytest

from rsseg.datasets.detection import open_source, read_dior, read_dota, read_fair1m, read_hrsc
from rsseg.metainfo import load_metainfo

SOTA, SIOR = load_metainfo("sota"), load_metainfo("sior")

DOTA = {
    "P0706": ({"ship": 531, "harbor": 5}, 6),
    "P0770": ({"tennis-court": 10, "swimming-pool": 9, "baseball-diamond": 2, "ground-track-field": 1}, 0),
    "P1088": ({"plane": 22, "small-vehicle": 9, "large-vehicle": 3}, 0),
}


@pytest.mark.parametrize("stem", DOTA)
def test_dota_labels(samples, stem):
    record = read_dota(samples / "dota" / "labelTxt" / f"{stem}.txt", SOTA)
    assert (Counter(record.names), int(record.difficult.sum())) == DOTA[stem]


def test_dota_first_boxes(samples):
    record = read_dota(samples / "dota" / "labelTxt" / "P0706.txt", SOTA)
    # line 3: 1054 1028 1063 1011 1111 1040 1112 1062 ship 1
    np.testing.assert_array_equal(record.qbox[0], [[1054, 1028], [1063, 1011], [1111, 1040], [1112, 1062]])
    assert record.hbox[0].tolist() == [1054, 1011, 1112, 1062]
    assert record.difficult[:2].tolist() == [True, False] and record.lines[:2] == [3, 4]


SOURCES = [
    # images, labels, {stem: boxes}, size of the first, images without labels
    ("dota/images", "dota/labelTxt", {"P0706": 536}, (1182, 1111), 0),
    ("dota_tile/images", "dota_tile/labelTxt", {"P2805__1024__0___0": 4}, (1024, 1024), 0),
    ("isaid/images", "isaid/labelTxt_from_masks", {"P0003": 59, "P0004": 116}, (1023, 1147), 4),
]


@pytest.mark.parametrize(("images", "labels", "counts", "size", "bare"), SOURCES)
def test_dota_sources(samples, images, labels, counts, size, bare):
    source = open_source("dota", samples / images, samples / labels, SOTA, on_error="skip")
    records = [source.read(item) for item in source.items]
    assert {record.stem: len(record) for record in records} == counts
    assert all(record.problems == [] for record in records)
    assert records[0].size == size and len(source.without_annotation) == bare
    missing = ["P0770", "P1088"] if images == "dota/images" else []
    assert [problem.value for problem in source.problems] == missing


DIOR = {
    # kind: (boxes kept, what is wrong: file -> line, value, part of the reason)
    "Horizontal": (
        1946,
        {
            "04137": (275, "162 329 162 330", "zero-area"),
            "05195": (1126, "786 502 802 528", "outside the image of 800 x 800"),
            "07007": (546, "528 485 529 485", "zero-area"),
            "08325": (45, "1 786 1 788", "zero-area"),
        },
    ),
    "Oriented": (
        1948,
        {
            "04137": (255, "162 329 162 330 162 330 162 329", "zero-area"),
            "07007": (669, "529 485 529 485 528 485 528 485", "zero-area"),
        },
    ),
}


@pytest.mark.parametrize("kind", DIOR)
def test_dior_files_and_the_dirty_ones(samples, kind):
    paths = sorted((samples / "dior" / "Annotations" / f"{kind} Bounding Boxes").glob("*.xml"))
    assert len(paths) == 205
    records = [read_dior(path, SIOR, "skip") for path in paths]
    kept, wrong = DIOR[kind]
    assert sum(map(len, records)) == kept
    assert {record.stem for record in records if record.problems} == wrong.keys()
    for record in records:
        assert record.size == (800, 800) and bool(record.oriented.all()) == (kind == "Oriented")
        for problem in record.problems:
            line, value, reason = wrong[record.stem]
            assert (problem.path, problem.line, problem.value) == (record.path, line, value)
            assert reason in problem.reason
            written = record.path.read_text(encoding="utf-8").splitlines()
            assert written[line - 1].strip() in ("<bndbox>", "<robndbox>")


def test_dior_with_its_image(samples):
    folder = samples / "dior"
    for kind in DIOR:
        labels = folder / "Annotations" / f"{kind} Bounding Boxes"
        source = open_source("dior", folder / "JPEGImages-trainval", labels, SIOR, stems=["00001"])
        record = source.read(source.items[0])
        assert record.names == ["golffield"] and record.hbox.tolist() == [[133, 237, 684, 672]]


@pytest.mark.parametrize(("stem", "name"), [("1", "Cargo-Truck"), ("2", "Boeing737"), ("3", "A220")])
def test_fair1m(samples, stem, name):
    record = read_fair1m(samples / "fair1m_xml_sample" / f"{stem}.xml", load_metainfo("fast"))
    assert (record.names, record.size) == ([name], (2, 2))
    np.testing.assert_array_equal(record.qbox, [[[0, 0], [1, 0], [1, 1], [0, 1]]])


def test_hrsc(samples):
    record = read_hrsc(samples / "hrsc" / "100000006.xml", load_metainfo("hrsc"))
    assert (record.names, record.size, record.object_ids) == (["ship"], (816, 1172), ["100000006"])
    assert record.hbox.tolist() == [[119, 75, 587, 789]] and record.extra == {"seg_color": [None]}
    # the ship's head, at (143, 776) in the file, lies on the short side that faces bottom-left
    head = record.qbox[0, [0, 3]].mean(axis=0)
    assert np.abs(head - [143, 776]).max() < 40


def test_nwpu(samples):
    folder = samples / "nwpu_vhr10"
    source = open_source("coco", folder / "images", folder / "instances.json", load_metainfo("nwpu_vhr10"))
    records = [source.read(item) for item in source.items]
    assert (len(records), sum(map(len, records))) == (520, 3178)
    assert source.problems == [] and source.without_annotation == []
    first = next(record for record in records if record.stem == "089")
    at = first.object_ids.index("746")
    assert first.hbox[at].tolist() == [488, 275, 565, 357] and first.names[at] == "baseball_diamond"
    assert first.extra["segmentation"][at][0][:4] == [535, 275, 546, 281]
