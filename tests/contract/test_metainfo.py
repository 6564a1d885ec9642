"""The class tables: well-formed, and in the order and colours that the released data sets use."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rsseg.metainfo import list_metainfo, load_metainfo, merged_ids

Every = Callable[..., None]
FOLDER = Path(__file__).resolve().parents[2] / "rsseg" / "metainfo"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
SIZES = {
    "sota": 18,
    "sior": 20,
    "fast": 37,
    "hrsc": 1,
    "nwpu_vhr10": 10,
    "isaid": 16,
    "potsdam": 5,
    "openearthmap": 8,
    "loveda": 7,
    "deepglobe": 6,
    "chesapeake": 12,
    "landdiscover": 40,
    "flair": 12,
    "flair_prepared": 12,
    "floodnet": 10,
    "potsdam_prepared": 5,
    "dlrsd": 17,
    "udd5": 5,
    "vdd": 7,
    "uavid": 7,
}
# Source: SAMRS release, mapping.py: one palette by id for its three subsets.
SAMRS_PALETTE = """
    0,127,255 0,63,0 0,127,63 0,63,255 0,0,127 0,127,127 0,0,63 0,63,127 0,63,191 0,191,127
    0,127,191 0,63,63 0,100,155 0,0,255 0,0,191 64,191,127 64,0,191 128,63,63 128,0,63 191,63,0
    255,127,0 63,0,0 127,63,0 63,255,0 0,127,0 127,127,0 63,0,63 63,127,0 63,191,0 191,127,0
    127,191,0 63,63,0 100,155,0 0,255,0 0,191,0 191,127,64 0,191,64
"""
SAMRS_CLASSES = {
    "sota": """
        large-vehicle swimming-pool helicopter bridge plane ship soccer-ball-field basketball-court
        ground-track-field small-vehicle baseball-diamond tennis-court roundabout storage-tank
        harbor container-crane airport helipad
    """,
    "sior": """
        airplane airport baseballfield basketballcourt bridge chimney expressway-service-area
        expressway-toll-station dam golffield groundtrackfield harbor overpass ship stadium
        storagetank tenniscourt trainstation vehicle windmill
    """,
    "fast": """
        A220 A321 A330 A350 ARJ21 Baseball-Field Basketball-Court Boeing737 Boeing747 Boeing777
        Boeing787 Bridge Bus C919 Cargo-Truck Dry-Cargo-Ship Dump-Truck Engineering-Ship Excavator
        Fishing-Boat Football-Field Intersection Liquid-Cargo-Ship Motorboat other-airplane
        other-ship other-vehicle Passenger-Ship Roundabout Small-Car Tennis-Court Tractor Trailer
        Truck-Tractor Tugboat Van Warship
    """,
}


def _read(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def test_all_tables_are_listed() -> None:
    assert set(SIZES) <= set(NAMES)
    assert list_metainfo() == NAMES


def test_number_of_classes(every: Every) -> None:
    def check(name: str) -> None:
        assert load_metainfo(name).num_classes == SIZES[name]

    every(sorted(SIZES), check)


def test_table_is_well_formed(every: Every) -> None:
    def check(name: str) -> None:
        data = _read(name)
        assert data["name"] and data["source"]
        rows = data["categories"]
        assert rows and [row["id"] for row in rows] == list(range(len(rows)))
        names = [row["name"] for row in rows]
        assert len({n.lower().replace("_", "-").replace(" ", "-") for n in names}) == len(names)
        for row in rows:
            assert row["name"] == row["name"].strip()
            assert not re.match(r"\d+ ", row["name"]), f"{row['name']!r} begins with its id"
            assert re.fullmatch(r"#[0-9A-F]{6}", row["color"]), row
            assert set(row) <= {"id", "name", "color", "raw", "prompts", "to", "scored", "from", "code", "images"}

    every(NAMES, check)


def test_colours_are_unique(every: Every) -> None:
    def check(name: str) -> None:
        colours = [row["color"] for row in _read(name)["categories"]]
        assert len(set(colours)) == len(colours)

    every(NAMES, check)


def test_ignored_values_are_no_classes(every: Every) -> None:
    def check(name: str) -> None:
        data = _read(name)
        ignore = data.get("ignore", [])
        offset = data.get("label_offset", 0)
        used = [v for row in data["categories"] for v in row.get("raw", [row["id"] + offset])]
        assert len(set(ignore)) == len(ignore) and all(0 <= v <= 255 for v in ignore)
        assert len(set(used)) == len(used) and all(0 <= v <= 255 for v in used)
        assert not set(ignore) & set(used)
        assert set(range(offset)) <= {*ignore, *used}, "a value below the offset is neither ignored nor a class"

    every(NAMES, check)


def test_targets_of_merges_exist(every: Every) -> None:
    def check(name: str) -> None:
        known = {row["name"] for other in NAMES for row in _read(other)["categories"]}
        targets = {row["to"] for row in _read(name)["categories"] if row.get("to")}
        assert targets <= known

    every(NAMES, check)


MERGES = [
    (name, of) for name in NAMES for of in {of for row in _read(name)["categories"] for of in row.get("from", {})}
]


def test_common_tables_take_every_class_once(every: Every) -> None:
    def check(merge: tuple[str, str]) -> None:
        common, table = merge
        assert (merged_ids(common, table) < 255).sum() <= load_metainfo(table).num_classes

    every(sorted(MERGES), check)


def test_there_are_common_tables() -> None:
    assert {("landcover6", "openearthmap"), ("landcover6", "loveda"), ("landcover6", "chesapeake")} <= set(MERGES)


def test_the_loaded_table_says_what_the_file_says(every: Every) -> None:
    def check(name: str) -> None:
        data, table = _read(name), load_metainfo(name)
        claimed = {v for row in data["categories"] for v in row.get("raw", [])}
        assert table.classes == tuple(row["name"] for row in data["categories"])
        assert table.num_classes == len(table.palette) == len(table.raw)
        for i, row in enumerate(data["categories"]):
            assert "#{:02X}{:02X}{:02X}".format(*table.palette[i]) == row["color"]
            assert table.index(row["name"]) == i
            assert table.lut[table.raw[i]] == (i if row.get("raw", True) else 255)
        assert all(table.lut[v] == 255 for v in {*data.get("ignore", []), 255} - claimed)

    every(NAMES, check)


def test_samrs_order_and_palette(every: Every) -> None:
    def check(name: str) -> None:
        table = load_metainfo(name)
        expected = tuple(SAMRS_CLASSES[name].split())
        assert table.classes == expected
        palette = [tuple(map(int, rgb.split(","))) for rgb in SAMRS_PALETTE.split()]
        assert len(set(palette)) == len(palette) == 37
        assert list(table.palette) == palette[: len(expected)]

    every(sorted(SAMRS_CLASSES), check)


def test_raw_values_of_openearthmap_and_potsdam() -> None:
    oem = load_metainfo("openearthmap")
    assert oem.lut[:10].tolist() == [255, 0, 1, 2, 3, 4, 5, 6, 7, 255]
    assert oem.raw.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    potsdam = load_metainfo("potsdam")
    assert potsdam.lut[:8].tolist() == [255, 0, 1, 2, 3, 4, 255, 255]


@pytest.mark.parametrize(("name", "dataset"), [("isaid", "iSAIDDataset"), ("loveda", "LoveDADataset")])
def test_palette_agrees_with_mmseg(name: str, dataset: str) -> None:
    theirs = getattr(pytest.importorskip("mmseg.datasets"), dataset).METAINFO
    table = load_metainfo(name)
    assert [list(c) for c in table.palette] == [list(c) for c in theirs["palette"]]
    assert [c.lower() for c in table.classes] == [c.lower() for c in theirs["classes"]]


@pytest.mark.parametrize(("prepared", "name"), [("flair_prepared", "flair"), ("potsdam_prepared", "potsdam")])
def test_two_ways_to_store_labels_have_the_same_classes(prepared: str, name: str) -> None:
    first, second = load_metainfo(prepared), load_metainfo(name)
    assert (first.classes, first.palette, first.texts) == (second.classes, second.palette, second.texts)
    assert first.raw_values != second.raw_values
