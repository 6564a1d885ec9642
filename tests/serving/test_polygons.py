"""Polygons of a map in a view."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from rasterio import Affine

from rsseg.io.georeference import GeoReference
from rsseg.mapping.products import Products, make_products
from rsseg.metainfo import ClassTable, load_metainfo
from tests.serving.world import UTM, client_of, write_map, write_table


@pytest.fixture
def table(tmp_path: Path) -> ClassTable:
    return load_metainfo(str(write_table(tmp_path / "table.json")))


def _blocks() -> np.ndarray:
    """A grid of 8 x 8 squares of 8 pixels, water and forest in turn, and a road of one pixel."""
    out = (np.indices((8, 8)).sum(0) % 2).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    out[1, 1:7] = 2
    return out


def _client(folder: Path, table: ClassTable, vectors: str, **profile: Any) -> tuple[Any, str, Path]:
    folder.mkdir(exist_ok=True)
    path = write_map(folder / "a.tif", _blocks(), **profile)
    make_products(path, table, Products(vectors=vectors))
    client = client_of(folder.parent, folder)
    return client, f"/api/layers/{client.get('/api/layers').json()[0]['id']}/polygons", path


ALL = dict(west=14.0, south=36.0, east=16.0, north=37.0)


@pytest.mark.parametrize("suffix", ["gpkg", "fgb", "geojson"])
def test_polygons_that_name_another_file_are_refused(tmp_path: Path, table: ClassTable, suffix: str) -> None:
    _, _, path = _client(tmp_path / "hidden", table, "geojson")
    folder = tmp_path / "maps"
    folder.mkdir()
    hidden = path.with_suffix(".geojson")
    layer = pyogrio.list_layers(hidden)[0][0]
    source = f"<SrcDataSource>{hidden}</SrcDataSource>"
    text = f'<OGRVRTDataSource><OGRVRTLayer name="{layer}">{source}</OGRVRTLayer></OGRVRTDataSource>'
    (folder / f"a.{suffix}").write_text(text)
    write_map(folder / "a.tif", _blocks())
    client = client_of(tmp_path, folder)
    answer = client.get(f"/api/layers/{client.get('/api/layers').json()[0]['id']}/polygons", params=ALL)
    assert answer.status_code == 400 and "a.tif: the polygons beside it are no" in answer.json()["detail"]


@pytest.mark.parametrize("suffix", ["gpkg", "fgb", "parquet", "geojson"])
def test_polygons_of_every_format_in_degrees(tmp_path: Path, table: ClassTable, suffix: str) -> None:
    pytest.importorskip("pyarrow")
    client, route, path = _client(tmp_path / "maps", table, suffix)
    small = dict(west=15.0, south=36.14, east=15.001, north=36.15, width=8192)
    found = client.get(route, params=small).json()
    assert found["type"] == "FeatureCollection" and found["cut"] is False
    by_class: dict[str, list[Any]] = {}
    for feature in found["features"]:
        by_class.setdefault(feature["properties"]["class"], []).append(feature)
    assert {name: len(parts) for name, parts in by_class.items()} == {"water": 32, "forest": 32, "road": 1}
    (road,) = by_class["road"]
    assert road["properties"] == {"class_id": 2, "class": "road", "area_m2": 1.5}
    west, south, east, north = shapely.geometry.shape(road["geometry"]).bounds
    assert (west - 15, east - 15) == pytest.approx((0.5 / 90000, 3.5 / 90000), rel=0.02), "a degree is 90 km here"
    assert north - south == pytest.approx(0.5 / 111000, rel=0.1)
    limited = client.get(route, params={**small, "limit": 5}).json()
    assert len(limited["features"]) == 5 and limited["cut"] is True
    corner = client.get(route, params=dict(west=14.9, south=36.14, east=15.000005, north=36.15, width=1)).json()
    assert len(corner["features"]) < 20 and GeoReference.of(path).crs is not None
    assert client.get(route, params=dict(west=1, south=2, east=3, north=4)).json()["features"] == []


def test_far_away_polygons_lose_points_and_small_ones_go(tmp_path: Path, table: ClassTable) -> None:
    client, route, _ = _client(tmp_path / "maps", table, "gpkg")
    near = client.get(route, params=dict(west=15.0, south=36.14, east=15.0005, north=36.15, width=1000)).json()
    assert len(near["features"]) == 65
    far = client.get(route, params={**ALL, "width": 20000 // 3}).json()
    assert far["features"] == [], "a pixel of 27 m is larger than a square of 4 m"


def test_polygons_of_a_picture_and_without_a_crs(tmp_path: Path, table: ClassTable) -> None:
    degree = 1 / 111319.49
    view = dict(west=-1.0, south=-1.0, east=1.0, north=1.0, width=8192)
    for name, profile in (("picture", dict(crs=None, transform=None)), ("plane", dict(crs=None, transform=UTM))):
        client, route, _ = _client(tmp_path / name, table, "gpkg", **profile)
        found = client.get(route, params=view).json()
        assert len(found["features"]) == 65
        road = next(f for f in found["features"] if f["properties"]["class_id"] == 2)
        assert road["properties"]["area_px"] == 6
        bounds = shapely.geometry.shape(road["geometry"]).bounds
        assert bounds == pytest.approx((degree, -2 * degree, 7 * degree, -degree), abs=3e-7)


def test_polygons_across_the_antimeridian_stay_whole(tmp_path: Path, table: ClassTable) -> None:
    client, route, _ = _client(tmp_path / "maps", table, "gpkg", crs="EPSG:32601",
                               transform=Affine(10, 0, 166021.443 - 330, 0, -10, 320))  # fmt: skip
    found = client.get(route, params=dict(west=179, south=-1, east=-179, north=1, width=8192)).json()
    shapes = [shapely.geometry.shape(feature["geometry"]) for feature in found["features"]]
    assert len(shapes) >= 64 and all(shape.bounds[2] - shape.bounds[0] < 0.01 for shape in shapes)


def test_polygons_that_are_not_there_or_broken(
    tmp_path: Path, table: ClassTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, route, path = _client(tmp_path / "maps", table, "geojson")
    monkeypatch.setattr("rsseg.serving.polygons.MOST_BYTES", 100)
    answer = client.get(route, params=ALL)
    assert answer.status_code == 400 and "write .gpkg or .fgb" in answer.json()["detail"]
    path.with_suffix(".geojson").write_text("{")
    monkeypatch.setattr("rsseg.serving.polygons.MOST_BYTES", 1000)
    answer = client.get(route, params=ALL)
    assert answer.status_code == 400 and str(tmp_path) not in answer.text
    for suffix in ("fgb", "parquet"):
        path.with_suffix(f".{suffix}").write_bytes(b"nothing")
        client = client_of(tmp_path, path)
        assert client.get(route, params=ALL).status_code == 400
        path.with_suffix(f".{suffix}").unlink()
    path.with_suffix(".geojson").unlink()
    client = client_of(tmp_path, path)
    answer = client.get(route, params=ALL)
    assert answer.status_code == 404 and "rsseg map --vectors" in answer.json()["detail"]
