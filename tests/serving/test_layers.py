"""What is found in the named files and folders, and what is left out."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from rsseg.errors import DataError, UserError
from rsseg.metainfo import load_metainfo
from rsseg.serving.layers import Layers
from tests.serving.world import CLASSES, UTM, client_of, write_image, write_map, write_table, write_vrt

LABELS = np.zeros((8, 8), np.uint8)
RGB = np.zeros((3, 8, 8), np.uint8)


def _found(*paths: Path) -> dict[str, str]:
    return {layer.name: layer.kind for layer in Layers(paths).all()}


def test_a_folder_of_maps_images_and_a_set(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    image = write_image(tmp_path / "scene.tif", RGB)
    write_map(tmp_path / "maps" / "scene.tif", LABELS, image)
    write_image(tmp_path / "maps" / "scene_probabilities.tif", RGB[:1])
    write_image(tmp_path / "maps" / "scene_overlay.png", RGB, driver="PNG", crs=None, transform=None)
    for name in ("scene.geojson", "scene.gpkg", "scene_areas.csv"):
        (tmp_path / "maps" / name).write_text("")
    folder = tmp_path / "converted"
    (folder / "gray").mkdir(parents=True)
    for name in ("manifest.json", "instances.json"):
        (folder / name).write_text("{}")
    write_image(folder / "gray" / "a.tif", RGB)

    layers = {layer.name: layer for layer in Layers([tmp_path]).all()}
    assert {name: layer.kind for name, layer in layers.items()} == {
        "maps/scene.tif": "map", "scene.tif": "image", "converted": "set",
    }  # fmt: skip
    one = layers["maps/scene.tif"]
    assert one.image == layers["scene.tif"].id
    assert one.probabilities == one.path.with_name("scene_probabilities.tif")
    assert one.polygons == one.path.with_name("scene.gpkg")
    assert _found(folder) == {"converted": "set"}


def test_ids_stay_and_folders_are_looked_through_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsseg.serving.layers._PAUSE", 0)
    path = write_map(tmp_path / "a.tif", LABELS)
    layers = Layers([tmp_path])
    first = layers.all()[0]
    write_image(tmp_path / "b.tif", RGB)
    assert [layer.name for layer in layers.all()] == ["a.tif", "b.tif"]
    assert layers.get(first.id) == first == Layers([path]).all()[0]
    write_image(path, RGB)  # another file in its place
    assert layers.all()[0].kind == "image"
    path.unlink()
    for unknown in (first.id, "", "../a.tif", "\ud800", "é" * 1000):
        with pytest.raises(LookupError):
            layers.get(unknown)


def test_links_out_of_the_folders_are_not_followed(tmp_path: Path) -> None:
    secret, folder = tmp_path / "secret", tmp_path / "open"
    secret.mkdir()
    folder.mkdir()
    hidden = write_map(secret / "hidden.tif", LABELS)
    (folder / "link.tif").symlink_to(hidden)
    (folder / "more").symlink_to(secret)
    (folder / "gone.tif").symlink_to(tmp_path / "gone.tif")
    own = write_map(folder / "own.tif", LABELS)
    (folder / "again.tif").symlink_to(own)
    write_image(secret / "own_probabilities.tif", RGB[:1])
    (folder / "own_probabilities.tif").symlink_to(secret / "own_probabilities.tif")
    layers = Layers([folder])
    (layer,) = layers.all()
    assert layer.path == own and layer.probabilities is None
    own.unlink()
    own.symlink_to(hidden)  # afterwards
    with pytest.raises(LookupError):
        layers.get(layer.id)
    assert sorted(_found(folder, secret).values()) == ["image", "map"], "each file once, where both folders are named"


def test_mosaics_lead_to_nothing_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    hidden = write_image(tmp_path / "hidden.tif", RGB[:1])
    write_image(folder / "tile.tif", RGB[:1])
    write_vrt(folder / "good.vrt", "tile.tif")
    write_vrt(folder / "bad.vrt", "../hidden.tif")
    write_vrt(folder / "absolute.vrt", str(hidden), relative=0)
    write_vrt(folder / "second.vrt", "bad.vrt")
    write_vrt(folder / "address.vrt", "/vsicurl/http://127.0.0.1:9/a.tif")
    write_vrt(folder / "inline.vrt", "&lt;VRTDataset/&gt;")
    monkeypatch.chdir(tmp_path)
    write_vrt(folder / "here.vrt", "hidden.tif", relative=0)
    write_vrt(folder / "circle.vrt", "circle.vrt")
    assert _found(folder) == {"good.vrt": "image", "tile.tif": "image"}
    assert _found(folder / "bad.vrt") == {"bad.vrt": "image"}, "who names a mosaic names what it is made of"


def test_folders_that_cannot_be_read_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as ``lost+found`` of a disk."""
    (tmp_path / "locked").mkdir()
    write_map(tmp_path / "a.tif", LABELS)
    scan = os.scandir

    def scandir(folder: Path) -> Any:
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr("rsseg.io.listing.os.scandir", scandir)
    monkeypatch.setattr("rsseg.serving.layers._PAUSE", 0)
    layers = Layers([tmp_path])
    for _ in range(2):
        assert [layer.name for layer in layers.all()] == ["a.tif"]
    assert caplog.text.count("Permission denied") == 1


def test_what_changes_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the next look through the folders."""
    monkeypatch.setattr("rsseg.serving.layers._PAUSE", 1e9)
    folder = tmp_path / "open"
    folder.mkdir()
    hidden = write_image(tmp_path / "hidden.tif", RGB[:1])
    write_image(folder / "tile.tif", RGB[:1])
    write_vrt(folder / "a.vrt", "tile.tif")
    write_map(folder / "b.tif", LABELS)
    layers = Layers([folder])
    ids = {layer.name: layer.id for layer in layers.all()}
    write_vrt(folder / "a.vrt", str(hidden), relative=0)
    with pytest.raises(LookupError):
        layers.get(ids["a.vrt"])
    write_image(folder / "b.tif", RGB)
    assert layers.get(ids["b.tif"]).kind == "image"
    with rasterio.open(folder / "tile.tif", "r+") as file:
        file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(hidden))
    with pytest.raises(LookupError):
        layers.get(ids["tile.tif"])
    (folder / "b.tif").write_bytes(b"II*\0cut")
    assert layers.get(ids["b.tif"]).path == folder / "b.tif", "the reader says what is wrong with it"


def test_errors_do_not_tell_where_files_are(tmp_path: Path) -> None:
    """Of a mosaic that is named itself, and of the file elsewhere that is missing in it."""
    (tmp_path / "maps").mkdir()
    gone = tmp_path / "private" / "deep" / "gone.tif"
    gone.parent.mkdir(parents=True)
    write_image(gone, RGB[:1])
    client = client_of(tmp_path, write_vrt(tmp_path / "maps" / "a.vrt", str(gone), relative=0))
    layer = client.get("/api/layers").json()[0]["id"]
    gone.unlink()
    answer = client.get(f"/api/layers/{layer}/point", params=dict(lon=15.0000444, lat=36.1446821))
    assert answer.status_code == 400 and "gone.tif" in answer.json()["detail"]
    assert "private" not in answer.text and str(tmp_path) not in answer.text


def test_other_spellings_lead_to_nothing_elsewhere(tmp_path: Path) -> None:
    """GDAL reads names in lower case and in attributes, and takes any file for a mosaic that has the word in it."""
    folder = tmp_path / "open"
    folder.mkdir()
    hidden = str(write_image(tmp_path / "hidden.tif", RGB[:1]))
    text = write_vrt(folder / "sub.vrt", hidden, relative=0).read_text()
    inside = text[text.index("<SourceFilename") : text.index("<SourceBand")]
    for name, changed in {
        "lower.vrt": text.replace("SourceFilename", "sourcefilename"),
        "attribute.vrt": text.replace(inside, "").replace("<SimpleSource", f'<SimpleSource SourceFilename="{hidden}"'),
        "folder.vrt": text.replace("relativeToVRT", "relativetovrt"),
        "overview.vrt": text.replace(hidden, "own.tif").replace(
            "<SRS>", f'<Metadata domain="overviews"><MDI key="OVERVIEW_FILE">{hidden}</MDI></Metadata><SRS>'
        ),
        "argument.vrt": text.replace(hidden, "own.tif").replace(
            "<SRS>", f'<Argument name="gain_dataset_filename_1">{hidden}</Argument><SRS>'
        ),
        "word.tif": f"x{text}",
        "spaces.tif": " " * 100 + text,
        "picture.png": f"x{text}",
    }.items():
        (folder / name).write_text(changed)
    write_image(folder / "own.tif", RGB[:1])
    assert _found(folder) == {"own.tif": "image"}


def test_overviews_and_masks_of_images_lie_in_the_folders(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    hidden = str(write_image(tmp_path / "hidden.tif", RGB))
    with rasterio.open(write_image(folder / "inside.tif", np.zeros((3, 16, 16), np.uint8)), "r+") as file:
        file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=hidden)
    pam = f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{hidden}</MDI></Metadata></PAMDataset>'
    for name, driver in (("beside.tif", "GTiff"), ("photo.jpg", "JPEG")):
        write_image(folder / name, np.zeros((3, 16, 16), np.uint8), driver=driver)
        (folder / f"{name}.aux.xml").write_text(pam)
    for end in ("ovr", "msk"):
        write_image(folder / f"link_{end}.tif", np.zeros((3, 16, 16), np.uint8))
        (folder / f"link_{end}.tif.{end}").symlink_to(hidden)
    write_image(folder / "own.tif", np.zeros((3, 16, 16), np.uint8))
    write_image(folder / "own.jpg", np.zeros((3, 16, 16), np.uint8), driver="JPEG")
    for name in ("own.tif.ovr", "own.jpg.ovr"):
        write_image(folder / name, RGB, driver="GTiff")
    assert _found(folder) == {"own.tif": "image", "own.jpg": "image"}
    assert _found(folder / "beside.tif") == {"beside.tif": "image"}, "who names an image names what belongs to it"


def test_an_index_of_tiles(tmp_path: Path) -> None:
    pyogrio = pytest.importorskip("pyogrio")
    import shapely

    folder = tmp_path / "maps"
    folder.mkdir()
    tile = write_map(folder / "tile.tif", LABELS)
    hidden = write_map(tmp_path / "hidden.tif", LABELS)
    with rasterio.open(tile) as file:
        square = shapely.to_wkb([shapely.box(*file.bounds)])
    for name, location in (("good.gti.gpkg", "tile.tif"), ("bad.gti.gpkg", str(hidden))):
        pyogrio.raw.write(
            folder / name, square, [np.array([location], object)], ["location"], geometry_type="Polygon",
            crs="EPSG:32633", driver="GPKG", layer="index", layer_metadata=dict(RESX="0.5", RESY="0.5"),
        )  # fmt: skip
    assert _found(folder) == {"good.gti.gpkg": "map", "tile.tif": "map"}
    with closing(sqlite3.connect(folder / "good.gti.gpkg")) as base:
        document = "<GDALTileIndexDataset><Overview><Dataset>{}</Dataset></Overview></GDALTileIndexDataset>"
        base.execute("UPDATE gpkg_metadata SET metadata = ?", (document.format("tile.tif"),))
        base.commit()
        assert "good.gti.gpkg" in _found(folder)
        base.execute("UPDATE gpkg_metadata SET metadata = ?", (document.format(hidden),))
        base.commit()
    assert _found(folder) == {"tile.tif": "map"}, "overviews may be rasters of their own"
    pyogrio.raw.write(
        folder / "field.gti.gpkg", square, [np.array([name], object) for name in ("tile.tif", str(hidden))],
        ["location", "other"], geometry_type="Polygon", crs="EPSG:32633", driver="GPKG", layer="index",
        layer_metadata=dict(RESX="0.5", RESY="0.5", LOCATION_FIELD="other"),
    )  # fmt: skip
    assert _found(folder) == {"tile.tif": "map"}, "the index says which field has the names"


def test_a_country_is_one_layer(tmp_path: Path) -> None:
    """Two maps side by side as rsseg collect joins them; the older form of the mosaic is no second layer."""
    from rsseg.io.georeference import GeoReference
    from rsseg.mapping.mosaic import plan_mosaic, write_mosaic

    table = load_metainfo(str(write_table(tmp_path / "table.json")))
    folder = tmp_path / "maps"
    folder.mkdir()
    for number, name in enumerate(("a.tif", "b.tif")):
        labels = np.full((64, 64), number, np.uint8)
        write_map(folder / name, labels, transform=Affine(0.5, 0, 500000 + 32 * number, 0, -0.5, 4000000))
    mosaic = plan_mosaic({name: GeoReference.of(folder / name) for name in ("a.tif", "b.tif")})
    assert mosaic is not None
    assert {path.name for path in write_mosaic(folder, mosaic, table)} == {"mosaic.gti.gpkg", "mosaic.vrt"}
    assert list(_found(folder).items()) == [("mosaic.gti.gpkg", "map"), ("a.tif", "map"), ("b.tif", "map")]
    client = client_of(tmp_path, folder)
    base = f"/api/layers/{client.get('/api/layers').json()[0]['id']}"
    info = client.get(base).json()
    assert info["size"] == [64, 128] and [row["name"] for row in info["classes"]] == list(CLASSES)
    west, south, east, north = info["bounds"]
    areas = client.get(f"{base}/areas", params=dict(west=west, south=south, east=east, north=north)).json()
    assert [row["pixels"] for row in areas["classes"]] == pytest.approx([4096, 4096, 0], abs=200)
    point = client.get(f"{base}/point", params=dict(lon=west + 0.75 * (east - west), lat=(south + north) / 2)).json()
    assert point["name"] == "forest" and not info["polygons"], "the index is no file of polygons"


def test_broken_files_are_left_out_and_refused_by_name(tmp_path: Path) -> None:
    write_map(tmp_path / "good.tif", LABELS)
    (tmp_path / "broken.tif").write_bytes(b"II*\0nothing")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.vrt").write_text("no XML")
    write_image(tmp_path / "complex.tif", RGB[:1].astype(np.complex64))
    with rasterio.open(tmp_path / "palette.tif", "w", driver="GTiff", count=1, height=8, width=8, dtype="uint8",
                       transform=UTM) as file:  # fmt: skip
        file.write(LABELS, 1)
        file.write_colormap(1, {0: (1, 2, 3, 255)})
    assert _found(tmp_path) == {"good.tif": "map"}
    with pytest.raises(OSError, match=r"broken\.tif"):
        Layers([tmp_path / "broken.tif"])
    with pytest.raises(DataError, match="has a palette but no class names"):
        Layers([tmp_path / "palette.tif"])
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        Layers([tmp_path / "missing"])


def test_the_image_of_a_map_is_the_one_that_its_metadata_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first = write_image(tmp_path / "a" / "scene.tif", RGB)
    second = write_image(tmp_path / "b" / "scene.tif", RGB)
    os.utime(second, ns=(1, 1))
    write_map(tmp_path / "map.tif", LABELS, second)
    layers = {layer.path: layer for layer in Layers([tmp_path]).all()}
    assert layers[tmp_path / "map.tif"].image == layers[second].id
    alone = Layers([tmp_path / "map.tif"]).all()
    assert len(alone) == 1 and alone[0].image is None, "an image outside of what is named is not served"
    os.utime(second, ns=(2, 2))
    assert {layer.path: layer for layer in Layers([tmp_path]).all()}[tmp_path / "map.tif"].image is None
    with rasterio.open(tmp_path / "map.tif", "r+") as file:
        file.update_tags(RSSEG_SOURCE="../../etc/passwd", RSSEG_SOURCE_STATE=json.dumps({"a": "[["}))
    assert Layers([tmp_path]).all()[0].image is None
    assert first.exists() and issubclass(DataError, UserError)
