"""Class tables: how raw label values become training ids."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rsseg.metainfo import list_metainfo, load_metainfo


def test_openearthmap_raw_values():
    table = load_metainfo("openearthmap")
    np.testing.assert_array_equal(table.encode(np.arange(9, dtype=np.uint8)), [255, 0, 1, 2, 3, 4, 5, 6, 7])
    np.testing.assert_array_equal(table.raw, np.arange(1, 9))


def test_potsdam_ignores_boundary_and_clutter():
    raw = np.array([[0, 1, 5], [6, 255, 2]], np.uint8)
    np.testing.assert_array_equal(load_metainfo("potsdam").encode(raw), [[255, 0, 4], [255, 255, 1]])


def test_a_class_may_claim_255():
    table = load_metainfo("nwpu_vhr10_masks")
    np.testing.assert_array_equal(table.encode(np.array([0, 9, 255], np.uint8)), [0, 9, 10])
    assert table.raw[10] == 255


def test_unknown_values_are_refused_by_name():
    with pytest.raises(ValueError, match=r"labels/a.tif: value 9 is not a label value of OpenEarthMap"):
        load_metainfo("openearthmap").encode(np.array([1, 9], np.uint8), "labels/a.tif")


@pytest.mark.parametrize("name", ["Small Car", "small_car", "SMALL-CAR", " Small-Car "])
def test_names_are_found_however_they_are_written(name):
    assert load_metainfo("fast").index(name) == 29


def test_unknown_names_list_the_allowed():
    with pytest.raises(ValueError, match="'tank' is not a class of HRSC2016; expected one of: ship"):
        load_metainfo("hrsc").index("tank")
    with pytest.raises(ValueError, match=r"class table 'nope' not found; expected one of: .*sota"):
        load_metainfo("nope")


@pytest.mark.parametrize("name", list_metainfo())
def test_raw_and_encode_are_inverse(name):
    table = load_metainfo(name)
    expected = [i if values else 255 for i, values in enumerate(table.raw_values)]
    np.testing.assert_array_equal(table.encode(table.raw), expected)


def test_a_class_that_no_label_holds_is_asked_for_all_the_same():
    table = load_metainfo("floodnet")
    assert (table.num_classes, table.texts[:2], table.unscored) == (10, ("Background", "building-flooded"), (0,))
    assert table.encode(np.arange(10, dtype=np.uint8)).tolist() == [255, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert int(table.raw[0]) == 0


def test_texts_are_prompts_or_names():
    assert load_metainfo("potsdam").texts == ("impervious surface", "building", "low vegetation", "tree", "car")
    assert load_metainfo("fast").texts == load_metainfo("fast").classes
    assert load_metainfo("landdiscover").texts[32] == "expresswalltoll station"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ignore": [1]}, "occurs twice"),
        ({"label_offset": 255}, "must be 0 to 255"),
        ({"categories": [{"id": 1, "name": "a", "color": "#000000"}]}, "must be 0 to 0, in order"),
        ({"categories": [{"id": i, "name": "A"[: i + 1], "color": "#000000"} for i in (0, 1)]}, "same name"),
    ],
)
def test_contradictions_are_found(tmp_path, change, message):
    rows = [{"id": i, "name": name, "color": "#0A0B0C"} for i, name in enumerate("ab")]
    table = {"name": "T", "source": "test", "label_offset": 0, "ignore": [], "categories": rows, **change}
    path = tmp_path / "t.json"
    path.write_text(json.dumps(table))
    with pytest.raises(ValueError, match=message):
        load_metainfo(str(path))


def test_a_table_of_ones_own(tmp_path):
    path = tmp_path / "mine.json"
    rows = [{"id": 0, "name": "a", "color": "#0A0B0C", "raw": [7, 8]}]
    path.write_text(json.dumps({"name": "Mine", "source": "me", "categories": rows}))
    table = load_metainfo(str(path))
    assert table.palette == ((10, 11, 12),)
    np.testing.assert_array_equal(table.encode(np.array([7, 8, 255], np.uint8)), [0, 0, 255])
