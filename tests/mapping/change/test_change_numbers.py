"""What has become of what, worked out by hand: numbers, tables, raster, polygons."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio

from rsseg.mapping.change import ChangeOptions, Transitions, compare_maps
from tests.mapping.change.small_maps import AFTER, BEFORE, CHANGE, METRE, Write, left


def test_numbers_by_hand(compare: Callable[..., Transitions], tmp_path: Path) -> None:
    found = compare(BEFORE, AFTER)
    assert found.pixels.tolist() == CHANGE and found.metres is not None
    assert found.metres.tolist() == CHANGE and found.unchanged == 11 / 14
    assert left(found) == [1, 0, 1, 0, 0]
    tree = found.of_classes()[1]
    assert tree == {"class": "tree", "before": 7, "after": 6, "gain": 1, "loss": 2, "net": -1, "kept": 5,
                    "persistence": 5 / 7}  # fmt: skip
    assert [found.name(code) for code in found.changes()] == ["tree to road", "water to tree"]
    text = str(found)
    assert "unchanged 78.57 % of 14.00 m2 compared (14 pixels of before.tif)" in text
    assert "not compared: 1 pixels without a class in either map" in text and "71.429" in text


def test_tables_by_hand(compare: Callable[..., Transitions], tmp_path: Path) -> None:
    found = compare(BEFORE, AFTER)

    def rows(name: str) -> list[list[str]]:
        with (tmp_path / "out" / name).open(newline="") as file:
            return list(csv.reader(file))

    assert rows("transitions.csv") == [
        ["code", "from", "to", "pixels", "m2", "ha", "km2", "percent_of_from", "percent"],
        ["0", "water", "water", "3", "3.00", "0.0003", "0.000003", "75.000", "21.429"],
        ["1", "water", "tree", "1", "1.00", "0.0001", "0.000001", "25.000", "7.143"],
        ["4", "tree", "tree", "5", "5.00", "0.0005", "0.000005", "71.429", "35.714"],
        ["5", "tree", "road", "2", "2.00", "0.0002", "0.000002", "28.571", "14.286"],
        ["8", "road", "road", "3", "3.00", "0.0003", "0.000003", "100.000", "21.429"],
    ]
    assert rows("matrix.csv")[1:] == [
        ["water", "3.00", "1.00", "0.00", "4.00"],
        ["tree", "0.00", "5.00", "2.00", "7.00"],
        ["road", "0.00", "0.00", "3.00", "3.00"],
        ["total", "3.00", "6.00", "5.00", "14.00"],
    ]
    assert rows("matrix_pixels.csv")[-1] == ["total", "3", "6", "5", "14"]
    assert rows("classes.csv")[3] == ["road", "3.00", "5.00", "2.00", "0.00", "2.00", "3.00", "100.000"]
    told = json.loads((tmp_path / "out" / "change.json").read_text())
    assert told == json.loads(json.dumps(found.as_dict()))
    assert told["compared"] == {"pixels": 14, "m2": 14.0} and told["before"] == "before.tif"


def test_the_raster_names_and_colours_every_pair(compare: Callable[..., Transitions], tmp_path: Path) -> None:
    compare(BEFORE, AFTER)
    with rasterio.open(tmp_path / "out" / "change.tif") as file:
        assert file.read(1).tolist() == [[0, 1, 4, 4], [0, 0, 4, 5], [8, 8, 4, 5], [255, 8, 255, 4]]
        assert (file.nodata, file.crs.to_epsg(), file.transform) == (255, 32633, METRE)
        assert file.tags(1)["class_5"] == "tree to road" and file.tags(1)["class_4"] == "tree"
        assert file.colormap(1)[5] == (80, 120, 80, 255)  # four fifths of (100, 100, 100), one of (0, 200, 0)
        assert file.tags()["RSSEG_CODES"] == "before * 3 + after"
    style = (tmp_path / "out" / "change.qml").read_text()
    assert 'value="5"' in style and 'label="tree to road"' in style and "road to water" not in style
    assert "<Category>road to water</Category>" in (tmp_path / "out" / "change.tif.aux.xml").read_text()


def test_polygons_of_change(compare: Callable[..., Transitions], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    compare(BEFORE, AFTER, vectors="gpkg")
    _, _, shapes, fields = pyogrio.raw.read(tmp_path / "out" / "change.gpkg", layer="classes")
    assert len(shapes) == 2 and [list(field) for field in fields] == [
        [1, 5], ["water to tree", "tree to road"], ["water", "tree"], ["tree", "road"], [1.0, 2.0],
    ]  # fmt: skip
    compare(BEFORE, AFTER, vectors="parquet", min_area=1.5)
    found = (
        parquet.read_table(tmp_path / "out" / "change.parquet")
        .select(["code", "class", "from", "to", "area_m2"])
        .to_pylist()
    )
    assert found == [{"code": 5, "class": "tree to road", "from": "tree", "to": "road", "area_m2": 2.0}]
    assert not (tmp_path / "out" / "change.gpkg").exists(), "of the comparison before"
    compare(BEFORE, BEFORE, vectors="geojson")
    assert json.loads((tmp_path / "out" / "change.geojson").read_text())["features"] == []


def test_many_classes_need_16_bits(write: Write, tmp_path: Path) -> None:
    names = tuple(f"class {i}" for i in range(16))
    before, after = np.arange(16, dtype=np.uint8).reshape(4, 4), np.full((4, 4), 15, np.uint8)
    after[0, 0] = 255
    paths = write("before.tif", before, names), write("after.tif", after, names)
    found = compare_maps(*paths, tmp_path / "out", ChangeOptions(vectors="gpkg"))
    with rasterio.open(tmp_path / "out" / "change.tif") as file:
        assert (file.dtypes[0], file.nodata) == ("uint16", 65535)
        assert file.read(1).ravel().tolist() == [65535, *(16 * i + 15 for i in range(1, 16))]
    assert found.pixels[:, 15].tolist() == [0, *[1] * 15]
    table = (tmp_path / "out" / "change.tif.aux.xml").read_text()
    assert "<F>239</F>" in table and "class 14 to class 15" in table and "CategoryNames" not in table
    assert pyogrio.read_info(tmp_path / "out" / "change.gpkg", layer="classes")["features"] == 14
