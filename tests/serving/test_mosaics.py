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
