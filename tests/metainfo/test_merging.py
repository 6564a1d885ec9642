"""Common tables: every class by name, once."""

from __future__ import annotations

import json

import pytest

from rsseg.metainfo import load_metainfo, merged_ids, unmatched_ids


def test_openearthmap_and_loveda_meet_in_six_classes():
    # bareland, rangeland, developed, road, tree, water, agriculture, building
    assert merged_ids("landcover6", "openearthmap")[:9].tolist() == [0, 1, 1, 2, 3, 4, 1, 5, 255]
    # background, building, road, water, barren, forest, agricultural
    assert merged_ids("landcover6", "loveda")[:8].tolist() == [1, 5, 2, 4, 0, 3, 1, 255]
    assert load_metainfo("landcover6").classes == ("bareland", "other", "road", "tree", "water", "building")


def test_a_class_may_stay_out():
    # LoveDA's background may be anything that DeepGlobe names
    assert merged_ids("landcover6_urban", "loveda")[:7].tolist() == [255, 0, 0, 4, 5, 3, 1]


def test_classes_that_a_set_has_nothing_for():
    # LoveDA has no rangeland (2); OpenEarthMap and DeepGlobe have all six
    assert unmatched_ids("landcover6_urban", "loveda", "openearthmap") == (2,)
    assert unmatched_ids("landcover6_urban", "openearthmap", "deepglobe") == ()
    assert unmatched_ids("landcover6", "openearthmap", "loveda", "chesapeake") == ()


def write(path, rows, **extra):
    categories = [{"id": i, "name": f"c{i}", "color": f"#00000{i}", **row} for i, row in enumerate(rows)]
    path.write_text(json.dumps({"name": "T", "source": "test", "categories": categories, **extra}))
    return str(path)


@pytest.fixture
def own(tmp_path):
    return write(tmp_path / "own.json", [{"name": "Low Land"}, {"name": "sea"}])


def test_names_decide_not_places(tmp_path, own):
    path = write(tmp_path / "t.json", [{"from": {"own": ["sea"]}}, {"from": {"own": ["low_land"]}}])
    assert merged_ids(path, own)[:3].tolist() == [1, 0, 255]


@pytest.mark.parametrize(
    ("rows", "extra", "message"),
    [
        ([{"from": {"own": ["sea"]}}], {}, "has no mapping for Low Land of 'own'; add each"),
        (
            [{"from": {"own": ["sea", "low land"]}}, {"from": {"own": ["sea"]}}],
            {},
            "class 'sea' of 'own' maps to both 'c0' and 'c1'",
        ),
        (
            [{"from": {"own": ["sea", "low land"]}}],
            {"unused": {"own": ["sea"]}},
            "class 'sea' of 'own' maps to both 'c0' and 'unused'",
        ),
        ([{"from": {"own": ["lake", "low land"]}}], {}, "'lake' is not a class of T; expected one of: Low Land, sea"),
        (
            [{"from": {"other": ["sea"]}}],
            {},
            "has no mapping for the classes of 'own'; label sets with a mapping: other",
        ),
        ([{}], {}, "label sets with a mapping: none"),
    ],
)
def test_mistakes_are_named(tmp_path, own, rows, extra, message):
    with pytest.raises(ValueError, match=message):
        merged_ids(write(tmp_path / "t.json", rows, **extra), own)
