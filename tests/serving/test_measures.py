"""What a map says of a position and of a view, against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from rasterio import Affine

from rsseg.serving.places import Place
from tests.serving.world import CLASSES, UTM, client_of, write_image, write_map


def _quarters(side: int = 8) -> np.ndarray:
    """Water and forest above, road and no data below."""
    out = np.zeros((side, side), np.uint8)
    half = side // 2
    out[:half, half:], out[half:, :half], out[half:, half:] = 1, 2, 255
    return out


def _client(tmp_path: Path, *paths: Path) -> tuple[Any, str]:
    client = client_of(tmp_path, *(paths or (tmp_path,)))
    return client, f"/api/layers/{client.get('/api/layers').json()[0]['id']}"


def _degrees(path: Path, column: float, row: float) -> dict[str, float]:
    point = Place.of(path).pixels_to_degrees(np.array([shapely.Point(column, row)]))[0]
    return dict(lon=point.x, lat=point.y)


def _view(path: Path, x1: float, y1: float, x2: float, y2: float) -> dict[str, float]:
    """Bounds in degrees of pixels; for rasters whose rows run east, to a hair."""
    one, two = _degrees(path, x1, y2), _degrees(path, x2, y1)
    return dict(west=one["lon"], south=one["lat"], east=two["lon"], north=two["lat"])


def test_class_probability_and_position(tmp_path: Path) -> None:
    path = write_map(tmp_path / "a.tif", _quarters())
    shares = np.full((1, 8, 8), 127, np.uint8)
    shares[0, 0, 0] = 254
    write_image(tmp_path / "a_probabilities.tif", shares, nodata=255, scales=(1 / 254,))
    client, base = _client(tmp_path)
    assert client.get(base).json()["probability"] is True
    found = client.get(f"{base}/point", params=_degrees(path, 5.5, 1.5)).json()
    assert (found["class_id"], found["name"], found["color"]) == (1, "forest", "#008000")
    assert found["pixel"] == [5, 1] and found["probability"] == 0.5 and found["crs"] == "EPSG:32633"
    assert found["coordinates"] == pytest.approx([500000 + 2.75, 4000000 - 0.75], abs=1e-6)
    assert client.get(f"{base}/point", params=_degrees(path, 0.5, 0.5)).json()["probability"] == 1
    empty = client.get(f"{base}/point", params=_degrees(path, 6.5, 6.5)).json()
    assert (empty["class_id"], empty["probability"], empty["pixel"]) == (None, None, [6, 6])
    beyond = client.get(f"{base}/point", params=_degrees(path, -1, 3)).json()
    assert beyond["pixel"] is None and beyond["coordinates"] is not None
    far = client.get(f"{base}/point", params=dict(lon=-120, lat=-90)).json()
    assert far["pixel"] is None and far["class_id"] is None
    for wrong in (
        dict(lon="nan", lat=0),
        dict(lon="inf", lat=0),
        dict(lon=0),
        dict(lon=1e308, lat=0),
        dict(lon="", lat=1),
    ):
        assert client.get(f"{base}/point", params=wrong).status_code == 422, wrong


def test_probabilities_of_all_classes_and_those_of_another_map(tmp_path: Path) -> None:
    path = write_map(tmp_path / "a.tif", _quarters())
    shares = np.stack([np.full((8, 8), value, np.uint8) for value in (254, 127, 0)])
    other = write_image(tmp_path / "a_probabilities.tif", shares, nodata=255, scales=(1 / 254,) * 3)
    client, base = _client(tmp_path)
    values = [
        client.get(f"{base}/point", params=_degrees(path, *at)).json()["probability"] for at in ((1, 1), (5, 1), (1, 5))
    ]
    assert values == [1.0, 0.5, 0.0]
    write_image(other, shares[:2])
    assert client.get(f"{base}/point", params=_degrees(path, 1, 1)).json()["probability"] is None


def test_values_of_an_image_and_pixels_of_a_picture(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.tif", np.arange(64, dtype=np.float32).reshape(1, 8, 8))
    with rasterio.open(image, "r+") as file:
        file.write(np.array([[np.nan]], np.float32), 1, window=((0, 1), (0, 1)))
    picture = write_image(tmp_path / "b.png", np.full((3, 8, 8), 7, np.uint8), driver="PNG", crs=None, transform=None)
    client = client_of(tmp_path, tmp_path)
    first, second = (f"/api/layers/{layer['id']}" for layer in client.get("/api/layers").json())
    assert client.get(f"{first}/point", params=_degrees(image, 3.5, 2.5)).json()["values"] == [19.0]
    assert client.get(f"{first}/point", params=_degrees(image, 0.5, 0.5)).json()["values"] == [None]
    found = client.get(f"{second}/point", params=_degrees(picture, 3.5, 2.5)).json()
    assert found["pixel"] == [3, 2] and found["values"] == [7, 7, 7] and found["coordinates"] is None
    for route in ("areas", "polygons"):
        answer = client.get(f"{first}/{route}", params=_view(image, 0, 0, 8, 8))
        assert answer.status_code == 404 and "no class map" in answer.json()["detail"]


def test_areas_of_a_view_are_those_of_its_pixels(tmp_path: Path) -> None:
    path = write_map(tmp_path / "a.tif", _quarters(64))
    client, base = _client(tmp_path)
    whole = client.get(f"{base}/areas", params=dict(west=14, south=36, east=16, north=37)).json()
    assert [row["pixels"] for row in whole["classes"]] == [1024] * 3 and whole["unmapped"] == 1024
    assert [row["m2"] for row in whole["classes"]] == [256.0] * 3 and whole["estimated"] is False
    assert [row["share"] for row in whole["classes"]] == pytest.approx([1 / 3] * 3)
    assert [row["name"] for row in whole["classes"]] == list(CLASSES)
    assert "projected CRS" in whole["method"]
    part = client.get(f"{base}/areas", params=_view(path, 16, 8, 40.4, 40)).json()
    # columns 16..39 (40.4 is below the middle of column 40), rows 8..39; 16 and 8 columns, 24 and 8 rows of quarters
    assert [row["pixels"] for row in part["classes"]] == [16 * 24, 8 * 24, 16 * 8] and part["unmapped"] == 64
    beside = client.get(f"{base}/areas", params=dict(west=10, south=36, east=11, north=37)).json()
    assert [row["pixels"] for row in beside["classes"]] == [0] * 3 and beside["estimated"] is False
    around = client.get(f"{base}/areas", params=dict(west=14 - 360, south=-90, east=16, north=90)).json()
    assert [row["pixels"] for row in around["classes"]] == [1024] * 3, "a map that is seen twice is counted once"
    for wrong in (dict(west=1, south=2, east=3, north=2), dict(west=1, south=1, east=1, north=2)):
        assert client.get(f"{base}/areas", params=wrong).status_code == 400
    assert client.get(f"{base}/areas", params=dict(west="nan", south=1, east=1, north=2)).status_code == 422


def test_areas_of_a_turned_map_and_of_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    turned = Affine(0.3, 0.4, 500000, 0.4, -0.3, 4000000)  # pixels of half a metre, turned by 53 degrees
    write_map(tmp_path / "a" / "a.tif", _quarters(64), transform=turned)
    client, base = _client(tmp_path, tmp_path / "a")
    whole = client.get(f"{base}/areas", params=dict(west=14, south=36, east=16, north=37)).json()
    assert [row["pixels"] for row in whole["classes"]] == [1024] * 3
    assert [row["m2"] for row in whole["classes"]] == pytest.approx([256.0] * 3)
    picture = write_map(tmp_path / "b" / "b.tif", _quarters(64), crs=None, transform=None)
    client, base = _client(tmp_path, tmp_path / "b")
    part = client.get(f"{base}/areas", params=_view(picture, 0, 0, 32, 64)).json()
    assert [row["pixels"] for row in part["classes"]] == [1024, 0, 1024]
    assert [row["m2"] for row in part["classes"]] == [None] * 3 and part["classes"][0]["share"] == 0.5


def test_large_views_are_estimated_from_an_overview(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_map(tmp_path / "a.tif", _quarters(1024), cog=True)
    monkeypatch.setattr("rsseg.serving.measures._EXACT", 600 * 600)
    client, base = _client(tmp_path)
    exact = client.get(f"{base}/areas", params=_view(path, 0, 0, 512, 512)).json()
    assert (exact["estimated"], exact["factor"]) == (False, 1) and exact["classes"][0]["pixels"] == pytest.approx(
        512 * 512, abs=3000
    )
    whole = client.get(f"{base}/areas", params=dict(west=14, south=36, east=16, north=37)).json()
    assert (whole["estimated"], whole["factor"]) == (True, 2)
    assert [row["pixels"] for row in whole["classes"]] == [512 * 512] * 3
    assert [row["m2"] for row in whole["classes"]] == pytest.approx([512 * 512 / 4] * 3)
    monkeypatch.setattr("rsseg.serving.measures._EXACT", 100)
    refused = client.get(f"{base}/areas", params=dict(west=14, south=36, east=16, north=37))
    assert refused.status_code == 400 and "zoom in" in refused.json()["detail"]


def test_areas_across_the_antimeridian(tmp_path: Path) -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[:, 32:] = 1
    write_map(tmp_path / "a.tif", labels, crs="EPSG:32601", transform=Affine(10, 0, 166021.443 - 320, 0, -10, 320))
    client, base = _client(tmp_path)
    both = client.get(f"{base}/areas", params=dict(west=179, south=-1, east=-179, north=1)).json()
    assert [row["pixels"] for row in both["classes"]] == [2048, 2048, 0]
    for west, east in ((179, 180), (-181, -180)):
        left = client.get(f"{base}/areas", params=dict(west=west, south=-1, east=east, north=1)).json()
        assert [row["pixels"] for row in left["classes"]] == pytest.approx([2048, 0, 0], abs=64)
    right = client.get(f"{base}/areas", params=dict(west=-180, south=-1, east=-179, north=1)).json()
    assert [row["pixels"] for row in right["classes"]] == pytest.approx([0, 2048, 0], abs=64)
    assert UTM.a == 0.5
