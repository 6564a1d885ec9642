"""Patches as a GeoPackage: outlines by hand, fields, and two coordinate systems in one layer."""

from __future__ import annotations

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from rsseg.evaluation.patch_layers import patch_outline, write_patch_layer


def _patch(folder, name, left, epsg=32629):
    (folder / name).mkdir()
    profile = dict(driver="GTiff", width=20, height=20, count=1, dtype="uint16", crs=f"EPSG:{epsg}")
    with rasterio.open(
        folder / name / f"{name}_B01.tif", "w", transform=from_origin(left, 5798040, 60, 60), **profile
    ) as file:
        file.write(np.ones((1, 20, 20), np.uint16))
    return str(folder / name / name)


def test_outline_of_a_folder(tmp_path):
    crs, corners = patch_outline(_patch(tmp_path, "a", 643200))
    assert crs.to_epsg() == 32629
    assert corners.tolist() == [[643200, 5798040], [644400, 5798040], [644400, 5796840], [643200, 5796840]]
    assert patch_outline(tmp_path / "a")[1].tolist() == corners.tolist()
    assert patch_outline(tmp_path / "a" / "a_B01.tif")[1].tolist() == corners.tolist()
    assert patch_outline(tmp_path / "nothing") is None


def test_layer_with_fields_and_a_patch_without_a_place(tmp_path, caplog):
    images = [_patch(tmp_path, "a", 643200), str(tmp_path / "b"), _patch(tmp_path, "c", 644400)]
    fields = {"image": ["a", "b", "c"], "p_wood": np.array([0.25, 0.5, 0.75], np.float32)}
    assert write_patch_layer(tmp_path / "out.gpkg", images, fields) == 2
    meta, _, shapes, values = pyogrio.raw.read(tmp_path / "out.gpkg", layer="patches")
    assert meta["crs"] == "EPSG:32629" and list(meta["fields"]) == ["image", "p_wood"]
    assert [value.tolist() for value in values] == [["a", "c"], [0.25, 0.75]]
    shapes = shapely.from_wkb(shapes)
    assert shapes[1].bounds == (644400, 5796840, 645600, 5798040) and shapely.is_ccw(shapes[1].exterior)
    assert "1 of 3 patches have no coordinates" in caplog.text
    assert write_patch_layer(tmp_path / "none.gpkg", ["x"], {"image": ["x"]}) == 0
    assert not (tmp_path / "none.gpkg").exists()


def test_two_zones_give_degrees(tmp_path):
    images = [_patch(tmp_path, "a", 500000), _patch(tmp_path, "b", 500000, 32630)]
    write_patch_layer(tmp_path / "out.gpkg", images, {"image": ["a", "b"]})
    meta, _, shapes, _ = pyogrio.raw.read(tmp_path / "out.gpkg")
    assert meta["crs"] == "EPSG:4326"
    assert [shape.bounds[0] for shape in shapely.from_wkb(shapes)] == pytest.approx([-9, -3])  # central meridians
