"""Classes of two maps meet by name; what cannot be compared is said at the door."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import rsseg
from rsseg.errors import ConfigError, DataError
from rsseg.mapping.change import ChangeOptions, Transitions, compare_maps
from tests.mapping.change.small_maps import AFTER, BEFORE, CHANGE, NAMES, Write


def test_rasters_of_any_type_with_a_class_table(write: Write, tmp_path: Path) -> None:
    rows = [{"id": i, "name": name, "color": "#00FF00", "raw": [10 * (i + 1)]} for i, name in enumerate(NAMES)]
    table = tmp_path / "own.json"
    table.write_text(json.dumps({"name": "Own", "source": "test", "ignore": [0], "categories": rows}))
    stored = np.array([10, 20, 30, *[-9] * 253])
    wide = write("wide.tif", stored[BEFORE].astype(np.int16), None, nodata=-9)
    floats = np.where(AFTER == 255, np.nan, stored[AFTER]).astype(np.float32)
    real = write("real.tif", floats, None, nodata=np.nan)
    with pytest.raises(
        ConfigError, match=r"wide\.tif: has no class names in its metadata; name the class table .* --cl"
    ):
        compare_maps(wide, real, tmp_path / "out")
    found = compare_maps(wide, real, tmp_path / "out", ChangeOptions(classes=str(table)))
    assert found.pixels.tolist() == CHANGE
    # a map of rsseg has names of its own; the table is only for the other one
    named = write("named.tif", AFTER)
    found = compare_maps(wide, named, tmp_path / "out", ChangeOptions(classes=str(table)))
    assert found.pixels.tolist() == CHANGE
    large = write("large.tif", AFTER.astype(np.uint16) + 300, None, nodata=None)
    with pytest.raises(
        DataError, match=r"large\.tif: holds uint16 values from 300 to 555; labels must be whole numbers"
    ):
        compare_maps(wide, large, tmp_path / "out", ChangeOptions(classes=str(table)))
    wrong = write("wrong.tif", AFTER, None)
    with pytest.raises(
        DataError, match=r"wrong\.tif: value 1 is not a label value of Own; allowed: \[0, 10, 20, 30, 255"
    ):
        compare_maps(wide, wrong, tmp_path / "out", ChangeOptions(classes=str(table)))


def test_classes_meet_by_name(compare: Callable[..., Transitions]) -> None:
    """The second map has them in another order and spelling."""
    numbers = np.array([2, 0, 1, *[255] * 253], np.uint8)
    found = compare(BEFORE, numbers[AFTER], {"names": ("Tree", "ROAD", "water")})
    assert found.pixels.tolist() == CHANGE and found.classes == NAMES


def test_classes_that_only_one_map_has(compare: Callable[..., Transitions]) -> None:
    other = {"names": ("water", "tree", "street")}
    message = "only in the first map: road; only in the second map: street.*--merge.*--all-classes"
    with pytest.raises(ConfigError, match=message):
        compare(BEFORE, AFTER, other)
    found = compare(BEFORE, AFTER, other, all_classes=True)
    assert found.classes == (*NAMES, "street")
    assert found.pixels.tolist() == [[3, 1, 0, 0], [0, 5, 0, 2], [0, 0, 0, 3], [0, 0, 0, 0]]


def test_maps_of_two_label_sets_merge_by_their_rules(write: Write, tmp_path: Path) -> None:
    """openearthmap: bareland, rangeland, developed space, road, tree, water ...; loveda: background, building, road,
    water, barren, forest, agricultural.  Both sets are known by their names."""
    from rsseg.metainfo import load_metainfo

    first = write("first.tif", np.array([[1, 2, 5, 7]], np.uint8), load_metainfo("openearthmap").classes)
    second = write("second.tif", np.array([[0, 1, 3, 1]], np.uint8), load_metainfo("loveda").classes)
    found = compare_maps(first, second, tmp_path / "out", ChangeOptions(merge="landcover6"))
    assert [found.name(code) for code in found.occurring] == ["other", "other to building", "water", "building"]
    # labels of the benchmark have values that begin with 1
    labels = write("labels.tif", np.array([[2, 3, 6, 8]], np.uint8), None)
    both = ChangeOptions(classes="openearthmap", after_classes="loveda", merge="landcover6")
    assert compare_maps(labels, second, tmp_path / "out", both).pixels.tolist() == found.pixels.tolist()
    one = ChangeOptions(classes="openearthmap", merge="landcover6")
    assert compare_maps(labels, second, tmp_path / "out", one).pixels.tolist() == found.pixels.tolist()
    with pytest.raises(ConfigError, match=r"has the classes background, .* but openearthmap those of OpenEarthMap"):
        compare_maps(second, labels, tmp_path / "out", one)
    odd = write("odd.tif", np.array([[0, 0, 0, 0]], np.uint8), ("lava",))
    with pytest.raises(DataError, match=r"odd\.tif with --merge landcover6: .* has no class for lava"):
        compare_maps(first, odd, tmp_path / "out", ChangeOptions(merge="landcover6"))


@pytest.mark.parametrize(
    ("where", "options", "message"),
    [
        (
            {"crs": None},
            {},
            r"after\.tif: cannot be compared with .*before\.tif: has 3 x 4 pixels.* no CRS relates them",
        ),
        ({}, {"grid": "finer"}, "--grid finer: unknown; expected one of: coarser, before, after"),
        ({}, {"vectors": "shp"}, "--vectors shp: unknown format"),
        ({}, {"merge": "landcover6", "all_classes": True}, "--merge and --all-classes exclude each other"),
        ({}, {"merge": "nowhere"}, "class table 'nowhere' not found"),
        ({"names": ("water", "tree")}, {"all_classes": True}, r"after\.tif: value 2 is not a label value of"),
    ],
)
def test_what_cannot_be_compared(
    where: Any, options: Any, message: str, compare: Callable[..., Transitions], tmp_path: Path
) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        compare(BEFORE, AFTER[:3], where, **options)
    assert not (tmp_path / "out" / "change.json").exists()


def test_wrong_files(write: Write, tmp_path: Path) -> None:
    before, after = write("change.tif", BEFORE), write("after.tif", AFTER)
    with pytest.raises(ConfigError, match=r"change\.tif: lies where the result goes"):
        compare_maps(before, after, tmp_path)
    with pytest.raises(ConfigError, match=r"after\.tif: is a file; name a folder"):
        compare_maps(before, after, Path(after))
    with pytest.raises(FileNotFoundError):
        compare_maps(before, str(tmp_path / "none.tif"), tmp_path / "out")
    with rasterio.open(
        tmp_path / "colours.tif", "w", driver="GTiff", count=3, height=4, width=4, dtype="uint8"
    ) as file:
        file.write(np.zeros((3, 4, 4), np.uint8))
    with pytest.raises(DataError, match=r"colours\.tif.*has 3 bands"):
        compare_maps(str(tmp_path / "colours.tif"), after, tmp_path / "out", ChangeOptions("loveda", all_classes=True))


@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_numbers_from_python_are_those_of_the_command(value: float, write: Write, tmp_path: Path) -> None:
    paths = write("before.tif", BEFORE), write("after.tif", AFTER)
    with pytest.raises(ConfigError, match=f"min_area={value}: expected a number from 0 on"):
        rsseg.compare_maps(*paths, tmp_path / "out", vectors="gpkg", min_area=value)


def test_the_result_goes_to_a_local_folder(write: Write, tmp_path: Path, run_tool: Callable[..., Any]) -> None:
    """An address as a path, ``s3:/bucket``, would be a folder of that name."""
    paths = write("before.tif", BEFORE), write("after.tif", AFTER)
    result = run_tool("change", *paths, "s3://bucket/out")
    assert result.returncode == 2
    assert "argument out: s3://bucket/out is an address; expected a local path" in result.stderr
    with pytest.raises(ConfigError, match="local folder"):
        rsseg.compare_maps(*paths, "gs://bucket/out")


def test_a_folder_with_files_of_others(write: Write, tmp_path: Path) -> None:
    paths = write("a.tif", BEFORE), write("b.tif", AFTER)
    (tmp_path / "classes.csv").write_text("mine\n")
    with pytest.raises(ConfigError, match=r"classes\.csv: is not of a finished comparison.*choose another folder"):
        compare_maps(*paths, tmp_path)
    assert (tmp_path / "classes.csv").read_text() == "mine\n" and not (tmp_path / "change.json").exists()
    (tmp_path / "classes.csv").unlink()
    for _ in range(2):
        compare_maps(*paths, tmp_path)


def test_maps_of_one_name_are_told_apart(write: Write, tmp_path: Path) -> None:
    for year in ("2018", "2024"):
        (tmp_path / year).mkdir()
    found = compare_maps(write("2018/map.tif", BEFORE), write("2024/map.tif", AFTER), tmp_path / "out")
    assert [found.about[key] for key in ("before", "after", "grid_of")] == ["2018/map.tif", "2024/map.tif",
                                                                            "2018/map.tif"]  # fmt: skip


def test_more_pairs_of_classes_than_polygons_can_have(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rsseg.mapping.change.files._UNCHANGED", 1)
    with pytest.raises(ConfigError, match=r"2 pairs of classes have changed; .* at most 1: merge classes"):
        compare_maps(write("a.tif", BEFORE), write("b.tif", AFTER), tmp_path / "out", ChangeOptions(vectors="gpkg"))
