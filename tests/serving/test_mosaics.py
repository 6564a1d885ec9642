"""Mosaics: what their tiles may lead to, which lie in a view, and the polygons of their maps."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from rasterio import Affine

from rsseg.io.georeference import GeoReference
from rsseg.io.rasters import opened
from rsseg.mapping.mosaic import plan_mosaic, write_mosaic
from rsseg.mapping.products import Products, make_products
from rsseg.metainfo import load_metainfo
from rsseg.serving.layers import Layers
from rsseg.serving.mosaic_views import tiles_in_view
from rsseg.serving.places import Place
from tests.serving.world import UTM, client_of, write_image, write_map, write_table, write_vrt

GREY = np.zeros((1, 8, 8), np.uint8)


def _mosaics(folder: Path) -> list[str]:
    return sorted(layer.name for layer in Layers([folder]).all() if layer.name.endswith(".vrt"))


def test_what_belongs_to_a_tile_lies_in_the_folders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """GDAL reads overviews, masks and metadata beside a tile, and takes a tile for what its content says."""
    folder = tmp_path / "open"
    folder.mkdir()
    hidden = write_image(tmp_path / "hidden.tif", GREY)
    for name in ("ovr", "msk", "pam", "good"):
        write_image(folder / f"{name}.tif", GREY)
    write_image(folder / "good.tif.ovr", GREY[:, :4, :4], driver="GTiff")
    for end in ("ovr", "msk"):
        (folder / f"{end}.tif.{end}").symlink_to(hidden)
    (folder / "pam.tif.aux.xml").write_text(
        f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{hidden}</MDI></Metadata></PAMDataset>'
    )
    text = write_vrt(tmp_path / "text.vrt", str(hidden), relative=0).read_text()
    tiles = ["ovr.tif", "msk.tif", "pam.tif", "good.tif", "later.tif"]
    for name in ("text.tif", "text.jpg", "text.xml"):
        (folder / name).write_text(text)
        tiles.append(name)
    for tile in tiles:
        write_vrt(folder / f"{tile}.vrt", tile)
    write_vrt(folder / "second.vrt", "ovr.tif.vrt")
    assert _mosaics(folder) == ["good.tif.vrt"]
    assert _mosaics(folder / "ovr.tif.vrt") == ["ovr.tif.vrt"], "who names a mosaic names what it is made of"
    assert "later.tif: " in caplog.text, "a tile that is missing"


def test_what_gdal_takes_for_a_text_leads_nowhere(tmp_path: Path) -> None:
    """A mask that is a VRT of a VRT, and a tile that is a JPEG by its name and its first bytes only."""
    folder, grey = tmp_path / "open", tmp_path / "grey.jpg"
    folder.mkdir()
    hidden = write_image(tmp_path / "hidden.tif", GREY)
    write_image(grey, GREY, driver="JPEG")
    text = write_vrt(tmp_path / "text.vrt", str(hidden), relative=0).read_bytes().ljust(0x1FF)
    data = grey.read_bytes()
    (folder / "tile.jpg").write_bytes(data[:2] + b"\xff\xfe\x02\x01" + text + data[2:])  # as its comment
    write_vrt(folder / "tile.vrt", "tile.jpg")
    (folder / "inner").write_bytes(text)
    write_vrt(folder / "msk.tif.msk", "inner")
    write_image(folder / "msk.tif", GREY)
    write_vrt(folder / "msk.vrt", "msk.tif")
    assert [layer.name for layer in Layers([folder]).all()] == ["tile.jpg"], "whose comment GDAL is not asked about"


@pytest.mark.parametrize("change", ["link", "text", "late", "same"])
def test_tiles_that_change_are_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    monkeypatch.setattr("rsseg.serving.headers._PAUSE", 0)
    monkeypatch.setattr("rsseg.serving.layers._PAUSE", 0)
    hidden = write_image(tmp_path / "hidden.tif", GREY)
    text = write_vrt(tmp_path / "text.vrt", str(hidden), relative=0).read_text()
    folder = tmp_path / "open"
    folder.mkdir()
    write_image(folder / "a.tif", GREY)
    mosaic = write_vrt(folder / "a.vrt", "a.tif", "late.tif")
    mosaic.write_text(mosaic.read_text().replace("Byte", "UInt16"))  # so that it need not be read to be an image
    layers = Layers([folder])
    ids = {layer.name: layer.id for layer in layers.all()}
    if change == "same":
        write_image(folder / "a.tif", GREY + 1)
        assert layers.get(ids["a.vrt"]).kind == "image"
        return
    if change == "link":
        (folder / "a.tif.ovr").symlink_to(hidden)
    else:
        (folder / ("a.tif" if change == "text" else "late.tif")).write_text(text)
    with pytest.raises(LookupError):
        layers.get(ids["a.vrt"])
    (folder / "a.tif.ovr").unlink(missing_ok=True)
    for name in ("a.tif", "late.tif"):
        write_image(folder / name, GREY)
    assert layers.get(ids["a.vrt"]).kind == "image", "once it is repaired"


def test_an_index_of_tiles_is_one_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And no text by which GDAL reads another file."""
    write_image(tmp_path / "tile.tif", GREY)
    square = shapely.to_wkb([shapely.box(500000, 3999996, 500004, 4000000)])
    pyogrio.raw.write(
        tmp_path / "index.fgb", square, [np.array(["tile.tif"], object)], ["location"], geometry_type="Polygon",
        crs="EPSG:32633", driver="FlatGeobuf", layer="index",
    )  # fmt: skip
    (tmp_path / "other.fgb").write_text(
        f'<OGRVRTDataSource><OGRVRTLayer name="index"><SrcDataSource>{tmp_path / "index.fgb"}</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>"
    )
    document = "<GDALTileIndexDataset><IndexDataset>{}</IndexDataset></GDALTileIndexDataset>"
    (tmp_path / "a.gti").write_text(document.format("other.fgb"))
    (tmp_path / "b.gti").write_text(document.format("/vsicurl/http://127.0.0.1:9/index.fgb"))
    with caplog.at_level(logging.WARNING):
        assert [layer.name for layer in Layers([tmp_path]).all()] == ["tile.tif"]
    assert "other.fgb: is an index of tiles by OGR_VRT, not GPKG" in caplog.text
    assert "refers to '/vsicurl/http" in caplog.text


def test_tiles_in_a_view_also_of_mosaics_of_mosaics(tmp_path: Path) -> None:
    for name in "abcd":
        write_image(tmp_path / f"{name}.tif", GREY)
    write_vrt(tmp_path / "two.vrt", "a.tif", "b.tif")
    write_vrt(tmp_path / "all.vrt", "two.vrt", "c.tif", "d.tif", side=16)
    whole = Place(
        GeoReference((16, 48), Place.of(tmp_path / "two.vrt").crs, Affine(1, 0, 500000, 0, -1, 4000000)), True
    )

    def seen(x1: float, x2: float) -> list[str]:
        view = whole.pixels_to_degrees(np.array([shapely.box(x1, 1, x2, 7)]))[0].bounds
        return [path.name for path in tiles_in_view(tmp_path / "all.vrt", view)]

    assert (seen(1, 7), seen(9, 15), seen(1, 17), seen(33, 47)) == (["a.tif"], ["b.tif"], ["a.tif", "b.tif", "c.tif"],
                                                                    ["d.tif"])  # fmt: skip


@pytest.fixture
def country(tmp_path: Path) -> Path:
    """Two maps of 16 squares each, side by side, with polygons, and both forms of their mosaic."""
    table = load_metainfo(str(write_table(tmp_path / "table.json")))
    folder = tmp_path / "maps"
    folder.mkdir()
    labels = (np.indices((4, 4)).sum(0) % 2).astype(np.uint8).repeat(16, 0).repeat(16, 1)
    for number, name in enumerate(("a.tif", "b.tif")):
        write_map(folder / name, labels, transform=UTM @ Affine.translation(64 * number, 0))
        make_products(folder / name, table, Products(vectors="gpkg"))
    mosaic = plan_mosaic({name: GeoReference.of(folder / name) for name in ("a.tif", "b.tif")})
    assert mosaic is not None
    write_mosaic(folder, mosaic, table)
    return folder


@pytest.mark.parametrize("gone", ["mosaic.vrt", "mosaic.gti.gpkg"])
def test_a_mosaic_shows_the_polygons_of_its_maps_in_view(
    country: Path, tmp_path: Path, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (country / gone).unlink()
    client = client_of(tmp_path, country)
    layers = {layer["name"]: f"/api/layers/{layer['id']}" for layer in client.get("/api/layers").json()}
    assert len(layers) == 3
    base = next(path for name, path in layers.items() if name.startswith("mosaic"))
    info = client.get(base).json()
    assert info["polygons"] is True
    west, south, east, north = info["bounds"]
    middle = west + 0.45 * (east - west)

    def ask(layer: str = base, **changes: Any) -> Any:
        view = dict(west=west, south=south, east=east, north=north, width=1000)
        return client.get(f"{layer}/polygons", params={**view, **changes})

    found = ask().json()
    own = [feature for name in ("a.tif", "b.tif") for feature in ask(layers[name]).json()["features"]]
    assert (len(own), found["cut"]) == (32, False) and found["features"] == own
    left = ask(east=middle).json()["features"]
    assert 0 < len(left) <= 16 and all(feature in own[:16] for feature in left)
    limited = ask(limit=20).json()
    assert (len(limited["features"]), limited["cut"]) == (20, True)
    (country / "b.gpkg").write_bytes(b"nothing")
    assert ask(east=middle).json()["features"] == left, "which reads the maps in view only"
    broken = ask()
    assert broken.status_code == 400 and "b.tif: " in broken.json()["detail"] and str(tmp_path) not in broken.text
    monkeypatch.setattr("rsseg.serving.polygons.MOST_MAPS", 1)
    one = ask().json()
    assert (len(one["features"]), one["cut"]) == (16, True)


def test_polygons_of_a_mosaic_are_those_of_maps_that_are_served(country: Path, tmp_path: Path) -> None:
    """Naming a mosaic does not name what lies beside its maps."""
    for path in (country / "mosaic.gti.gpkg", country / "mosaic.vrt"):
        client = client_of(tmp_path, path)
        (layer,) = client.get("/api/layers").json()
        base = f"/api/layers/{layer['id']}"
        assert client.get(base).json()["polygons"] is False
        view = dict(west=14, south=36, east=16, north=37)
        assert client.get(f"{base}/polygons", params=view).status_code == 404


def _layer(client: Any, info: bool = False) -> Any:
    """Route of the mosaic, or what is known of it."""
    names = {layer["name"]: f"/api/layers/{layer['id']}" for layer in client.get("/api/layers").json()}
    base = next(path for name, path in names.items() if name.startswith("mosaic"))
    return client.get(base).json() if info else base


@pytest.mark.parametrize("form", ["mosaic.vrt", "mosaic.gti.gpkg"])
@pytest.mark.parametrize("alone", [False, True])
def test_areas_of_maps_far_apart_are_counted_in_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, alone: bool
) -> None:
    """As an overview of them all would show a small map as one pixel; what two maps cover counts once."""
    table = load_metainfo(str(write_table(tmp_path / "table.json")))
    labels = np.random.default_rng(0).integers(0, 3, (32, 32)).astype(np.uint8)
    labels[:2] = 255
    places = {"a.tif": (0, 0), "b.tif": (16, 16), "c.tif": (9000, 4000)}
    whole = np.full((4032, 9032), 255, np.uint8)
    for name, (x, y) in places.items():
        write_map(tmp_path / name, labels, transform=UTM @ Affine.translation(x, y))
        part = whole[y : y + 32, x : x + 32]
        part[labels != 255] = labels[labels != 255]
    mosaic = plan_mosaic({name: GeoReference.of(tmp_path / name) for name in places})
    assert mosaic is not None
    write_mosaic(tmp_path, mosaic, table)
    (tmp_path / ("mosaic.vrt" if form != "mosaic.vrt" else "mosaic.gti.gpkg")).unlink()
    monkeypatch.setattr("rsseg.serving.measures._EXACT", 60 * 60)
    client = client_of(tmp_path / "out", tmp_path / form if alone else tmp_path)
    base = _layer(client)

    def ask(x1: float, y1: float, x2: float, y2: float) -> Any:
        place = Place(GeoReference((4032, 9032), Place.of(tmp_path / "a.tif").crs, UTM), True)
        corners = place.pixels_to_degrees(np.array([shapely.Point(x1, y2), shapely.Point(x2, y1)]))
        view = dict(
            zip(("west", "south", "east", "north"), (*corners[0].coords[0], *corners[1].coords[0]), strict=True)
        )
        return client.get(f"{base}/areas", params=view)

    found = ask(-900, -900, 9900, 4900).json()
    assert [row["pixels"] for row in found["classes"]] == [int((whole == number).sum()) for number in range(3)]
    assert [row["m2"] for row in found["classes"]] == [row["pixels"] / 4 for row in found["classes"]]
    assert (found["estimated"], found["factor"]) == (False, 1)
    assert found["unmapped"] == pytest.approx((whole == 255).sum(), abs=1)
    right = ask(4000, -900, 9900, 4900).json()
    assert sum(row["pixels"] for row in right["classes"]) == 30 * 32
    none = ask(4000, -900, 8000, 4900).json()
    assert not any(row["pixels"] for row in none["classes"]) and none["estimated"] is False
    monkeypatch.setattr("rsseg.serving.measures._EXACT", 100)
    coarse = ask(-900, -900, 9900, 4900).json()
    if form == "mosaic.vrt":
        assert "zoom in" in coarse["detail"]
    else:  # whose overview shows each map by several pixels
        assert coarse["estimated"] is True and coarse["factor"] == 8
        assert sum(row["pixels"] for row in coarse["classes"]) == pytest.approx((whole != 255).sum(), rel=0.1)


@pytest.mark.parametrize("form", ["mosaic.vrt", "mosaic.gti.gpkg"])
def test_pixels_that_a_map_covers_in_part_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Of maps that lie between the pixels of the mosaic, as GDAL draws them."""
    table, offset = load_metainfo(str(write_table(tmp_path / "table.json"))), (2000.4, 1000.7)
    write_map(tmp_path / "a.tif", np.zeros((32, 32), np.uint8))
    write_map(tmp_path / "b.tif", np.ones((32, 32), np.uint8), transform=UTM @ Affine.translation(*offset))
    mosaic = plan_mosaic({name: GeoReference.of(tmp_path / name) for name in ("a.tif", "b.tif")})
    assert mosaic is not None and not mosaic.aligned
    write_mosaic(tmp_path, mosaic, table)
    if form == "mosaic.vrt":
        (tmp_path / "mosaic.gti.gpkg").unlink()
        path = write_vrt(tmp_path / form, "a.tif", "b.tif", side=32)
        text = path.read_text().replace('xOff="32" yOff="0"', 'xOff="{}" yOff="{}"'.format(*offset))
        path.write_text(text.replace('XSize="64" rasterYSize="32"', 'XSize="2033" rasterYSize="1033"'))
    with opened(tmp_path / form) as file:
        drawn, place = int((file.read(1) == 1).sum()), Place.of(file)
    assert drawn == 33 * 33
    monkeypatch.setattr("rsseg.serving.measures._EXACT", 60 * 60)
    client = client_of(tmp_path / "out", tmp_path)
    view = dict(zip(("west", "south", "east", "north"), np.add(place.bounds, (-0.01, -0.01, 0.01, 0.01)), strict=True))
    found = client.get(f"{_layer(client)}/areas", params=view).json()
    assert (found["classes"][1]["pixels"], found["factor"]) == (drawn, 1)


@pytest.mark.parametrize("gone", ["mosaic.vrt", "mosaic.gti.gpkg"])
def test_a_mosaic_has_the_probabilities_of_the_map_that_is_seen(country: Path, tmp_path: Path, gone: str) -> None:
    (country / gone).unlink()
    assert _layer(client_of(tmp_path, country), info=True)["probability"] is False
    for value, name in ((100, "a"), (200, "b")):
        shares = np.full((1, 64, 64), value, np.uint8)
        move = UTM @ Affine.translation(64 * (name == "b"), 0)
        write_image(country / f"{name}_probabilities.tif", shares, nodata=255, scales=(1 / 200,), transform=move)
    client = client_of(tmp_path, country)
    base, place = _layer(client), Place.of(country / "a.tif")
    assert _layer(client, info=True)["probability"] is True

    def ask(column: float) -> tuple[Any, Any]:
        point = place.pixels_to_degrees(np.array([shapely.Point(column, 8.5)]))[0]
        found = client.get(f"{base}/point", params=dict(lon=point.x, lat=point.y)).json()
        return found["class_id"], found["probability"]

    assert [ask(column) for column in (8.5, 24.5, 63.5, 64.5, 100.5, 130)] == [
        (0, 0.5), (1, 0.5), (1, 0.5), (0, 1), (0, 1), (None, None)
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["mosaic.vrt", "mosaic.gti.gpkg"])
def test_the_probability_is_that_of_the_uppermost_of_many_maps(tmp_path: Path, form: str) -> None:
    """A GeoPackage tells of those in a view in no order; the uppermost may have no probabilities."""
    names = [f"{number:03}.tif" for number in range(100)]
    for number, name in enumerate(names):
        move = UTM @ Affine.translation(number // 10, number % 10)
        write_map(tmp_path / name, np.zeros((32, 32), np.uint8), transform=move)
        if number != 77:
            shares = np.full((1, 32, 32), number, np.uint8)
            path = tmp_path / f"{number:03}_probabilities.tif"
            write_image(path, shares, nodata=255, scales=(1 / 200,), transform=move)
    mosaic = plan_mosaic({name: GeoReference.of(tmp_path / name) for name in names})
    assert mosaic is not None
    write_mosaic(tmp_path, mosaic, load_metainfo(str(write_table(tmp_path / "table.json"))))
    (tmp_path / ("mosaic.vrt" if form != "mosaic.vrt" else "mosaic.gti.gpkg")).unlink()
    client = client_of(tmp_path / "out", tmp_path)
    base, place = _layer(client), Place.of(tmp_path / "000.tif")
    for x, y, upper in ((9.5, 9.5, 99), (3.5, 2.5, 32), (7.5, 7.5, 77), (0.5, 9.5, 9), (32.5, 32.5, 99)):
        point = place.pixels_to_degrees(np.array([shapely.Point(x, y)]))[0]
        found = client.get(f"{base}/point", params=dict(lon=point.x, lat=point.y)).json()
        assert found["class_id"] == 0
        assert found["probability"] == (None if upper == 77 else pytest.approx(upper / 200)), (x, y)


def test_what_belongs_to_probabilities_lies_in_the_folders(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    hidden = write_image(tmp_path / "hidden.tif", GREY)
    for name in ("ovr", "text", "broken", "good"):
        write_map(folder / f"{name}.tif", GREY[0])
        write_image(folder / f"{name}_probabilities.tif", GREY)
    (folder / "ovr_probabilities.tif.ovr").symlink_to(hidden)
    (folder / "text_probabilities.tif").write_text(write_vrt(tmp_path / "a.vrt", str(hidden), relative=0).read_text())
    (folder / "broken_probabilities.tif").write_bytes(b"nothing")
    there = {layer.name for layer in Layers([folder]).all() if layer.has_probabilities}
    assert there == {"good.tif"}
