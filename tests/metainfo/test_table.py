"""Class tables: how raw label values become training ids."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rsseg.errors import ConfigError, DataError
from rsseg.metainfo import list_metainfo, load_metainfo, table_path


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


@pytest.mark.parametrize(("values", "unknown"), [([[1, 300]], 300), ([[-2, 1]], -2), ([[1, 9, 44]], 9)])
def test_labels_of_other_integer_types(values, unknown):
    """As stored in files of 16 bits: the same ids, and values beyond 255 are refused, not wrapped."""
    table = load_metainfo("openearthmap")
    ids = table.encode(np.arange(9, dtype=np.uint16).reshape(3, 1, 3))
    assert ids.dtype == np.uint8 and ids.tolist() == [[[255, 0, 1]], [[2, 3, 4]], [[5, 6, 7]]]
    with pytest.raises(ValueError, match=f"a.tif: value {unknown} is not a label value of OpenEarthMap"):
        table.encode(np.array(values, np.int16), "a.tif")


def test_unknown_values_beside_255_classes(tmp_path):
    """No training id is left to mark them."""
    rows = [{"id": i, "name": f"c{i}", "color": "#000000", "raw": [i] if i else []} for i in range(255)]
    (tmp_path / "many.json").write_text(json.dumps({"name": "Many", "source": "ours", "categories": rows}))
    table = load_metainfo(str(tmp_path / "many.json"))
    assert table.encode(np.array([[1, 254, 255]], np.uint8)).tolist() == [[1, 254, 255]]
    assert table.encode(np.empty((0, 4), np.uint8)).shape == (0, 4)
    with pytest.raises(ValueError, match="value 0 is not a label value of Many"):
        table.encode(np.array([[1, 0]], np.uint8))


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


ROW = {"id": 0, "name": "a", "color": "#0A0B0C"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"categories": [{**ROW, "colour": "#000000"}]},
            r"unknown key 'categories\[0\]\.colour'; did you mean 'color'\?",
        ),
        ({"categories": [{**ROW, "url": "x"}]}, r"'categories\[0\]\.url'; expected one of: id, name, color, raw"),
        ({"ignored": [1]}, "unknown key 'ignored'; did you mean 'ignore'"),
        ({"classes": []}, "unknown key 'classes'; expected one of: name, source, categories"),
        ({"categories": [{"id": 0, "name": "a"}]}, r"missing required key 'categories\[0\]\.color', .* '#RRGGBB'"),
        ({"name": None}, "'name' must be a text that is not empty, without control characters, found None"),
        ({"categories": [{**ROW, "name": "a\nb"}]}, r"'categories\[0\]\.name' must be .* without control characters"),
        ({"categories": [{**ROW, "name": "\ud800"}]}, r"'categories\[0\]\.name' must be .* without control characters"),
        (
            {"categories": [{**ROW, "color": "red"}]},
            r"'categories\[0\]\.color' must be written as '#RRGGBB', found 'red'",
        ),
        ({"categories": [{**ROW, "color": "#12345"}]}, "must be written as '#RRGGBB'"),
        ({"categories": [{**ROW, "color": [1, 2, 3]}]}, "must be written as '#RRGGBB'"),
        ({"categories": [{**ROW, "id": True}]}, r"'categories\[0\]\.id' must be a whole number, found True"),
        ({"categories": [{**ROW, "id": 0.0}]}, r"'categories\[0\]\.id' must be a whole number, found 0\.0"),
        ({"categories": [{**ROW, "name": " "}]}, r"'categories\[0\]\.name' must be a text that is not empty"),
        ({"categories": [{**ROW, "raw": 3}]}, r"'categories\[0\]\.raw' must be a list of whole numbers from 0 to 255"),
        ({"categories": [{**ROW, "raw": [256]}]}, "must be a list of whole numbers from 0 to 255"),
        ({"categories": [{**ROW, "prompts": "a"}]}, r"'categories\[0\]\.prompts' must be a list of texts, found 'a'"),
        ({"categories": [{**ROW, "scored": "no"}]}, r"'categories\[0\]\.scored' must be true or false, found 'no'"),
        ({"categories": [{**ROW, "from": ["x"]}]}, r"'categories\[0\]\.from' must be an object of lists"),
        ({"categories": [ROW, "b"]}, r"categories\[1\] must be an object with 'color', 'id', 'name', found 'b'"),
        ({"categories": {}}, "'categories' must be a list with at least one class"),
        ({"ignore": [255.5]}, "'ignore' must be a list of whole numbers"),
        ({"label_offset": "1"}, "'label_offset' must be a whole number, found '1'"),
    ],
)
def test_every_key_is_known_and_of_its_kind(tmp_path, change, message):
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"name": "T", "source": "test", "categories": [ROW], **change}))
    with pytest.raises(DataError, match=rf"^{path}: .*{message}"):
        load_metainfo(str(path))


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('{"name": "T",\n "source": "t",\n}', 2, "the last entry must have no comma after it"),
        ('{"categories": [\n  {"id": 0},\n  {"id": 1},\n\n ]}', 3, "the last entry must have no comma after it"),
        ('{"name": "T"\n "source": "t"}', 2, "Expecting ',' delimiter"),
        ("{'name': 'T'}", 1, "Expecting property name"),
        ("", 1, "Expecting value"),
        ('{"name": "T",\n "name": "U"}', None, "the key 'name' stands twice in one object"),
        ("[]", None, "a class table must be an object with 'categories', 'name', 'source'"),
        ("[" * 100000, None, "JSON of a few levels"),
        ('{"name": "\xe4"}'.encode("latin-1"), None, "JSON in UTF-8"),
    ],
)
def test_what_is_no_json_is_named_by_its_line(tmp_path, text, line, message):
    path = tmp_path / "t.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError) as found:
        load_metainfo(str(path))
    assert str(found.value).startswith(f"{path}:{line}: " if line else f"{path}: ") and message in str(found.value)


def test_unlabelled_pixels_can_be_a_class():
    """``+background`` behind any table, by name or path: one class more, the last, for the value 255."""
    plain, more = load_metainfo("sota"), load_metainfo("sota+background")
    assert more.classes == (*plain.classes, "background") and more.palette == (*plain.palette, (0, 0, 0))
    raw = np.array([0, 17, 255], np.uint8)
    assert plain.encode(raw).tolist() == [0, 17, 255] and more.encode(raw).tolist() == [0, 17, 18]
    assert more.raw.tolist() == [*range(18), 255] and more.index("Background") == 18
    assert load_metainfo("flair+background").texts[-1] == "background"
    by_path = load_metainfo(f"{table_path('sota')}+background")
    assert by_path == more
    masks = load_metainfo("nwpu_vhr10_masks")
    assert load_metainfo("nwpu_vhr10+background").classes == masks.classes
    for name in ("nwpu_vhr10_masks", "isaid", "landdiscover"):
        with pytest.raises(ConfigError, match=rf"{name}\.json has a class for unlabelled pixels already, 'background'"):
            load_metainfo(f"{name}+background")


def test_the_background_takes_a_color_that_no_class_has(tmp_path):
    path = tmp_path / "t.json"
    rows = [{**ROW, "color": "#000000"}, {"id": 1, "name": "b", "color": "#010101"}]
    path.write_text(json.dumps({"name": "T", "source": "test", "categories": rows}))
    assert load_metainfo(f"{path}+background").palette[-1] == (2, 2, 2)


def test_a_table_of_ones_own(tmp_path):
    path = tmp_path / "mine.json"
    rows = [{"id": 0, "name": "a", "color": "#0A0B0C", "raw": [7, 8]}]
    path.write_text(json.dumps({"name": "Mine", "source": "me", "categories": rows}))
    table = load_metainfo(str(path))
    assert table.palette == ((10, 11, 12),)
    np.testing.assert_array_equal(table.encode(np.array([7, 8, 255], np.uint8)), [0, 0, 255])
