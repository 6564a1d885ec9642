"""Names and colours of a map in GIS programs: files beside it, the style in a GeoPackage, and QGIS itself."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from PIL import Image

from rsseg.io.georeference import GeoReference
from rsseg.mapping import MapOptions, Products, map_raster
from rsseg.mapping.layers import write_layer
from rsseg.mapping.products import style_files
from rsseg.mapping.vectors import polygons
from rsseg.metainfo import load_metainfo

EVIL = "<road> & \"rail\" 'ü'"
SMALL = MapOptions(window=(16, 16), batch=2)
PRODUCTS = Products(vectors="gpkg")


@pytest.fixture(scope="module")
def qgis():
    """``qgis(picture, files)`` -> what QGIS makes of each file; it has a Python of its own."""
    python = os.environ.get("QGIS_PYTHON") or shutil.which("python3", path="/usr/bin")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    env = {**clean, "QT_QPA_PLATFORM": "offscreen", "PROJ_LIB": "", "PROJ_DATA": "", "GDAL_DATA": ""}
    env = {k: v for k, v in env.items() if v}
    if not python or subprocess.run([python, "-c", "import qgis.core"], env=env, capture_output=True).returncode:
        pytest.skip("no QGIS (Debian: apt-get install python3-qgis); set $QGIS_PYTHON to the Python that imports it")

    def run(picture, *paths):
        command = [python, Path(__file__).with_name("qgis_layers.py"), picture, *paths]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return {Path(path).name: found for path, found in json.loads(done.stdout.splitlines()[-1]).items()}

    return run


@pytest.fixture
def own_table(tmp_path):
    """Red, a class with a name that XML has to escape, and blue."""
    rows = [{"id": i, "name": n, "color": c} for i, (n, c) in enumerate(
        {"bare land": "#FF0000", EVIL: "#00FF00", "water": "#0000FF"}.items())]  # fmt: skip
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"name": "own", "source": "test", "categories": rows}))
    return load_metainfo(str(path))


@pytest.fixture
def mapped(stub, own_table, write_raster, tmp_path):
    """A map of 40 x 60 pixels: a third of each class, and no data at the lower right."""
    pixels = np.zeros((3, 40, 60), np.uint8)
    for i in range(3):
        pixels[i, :, 20 * i : 20 * i + 20] = 200
    pixels[:, 30:, 50:] = 0
    source = write_raster(pixels, nodata=0)
    target = tmp_path / "maps" / "a.map.tif"

    def run(**options):
        assert map_raster(str(source), target, stub, own_table, MapOptions(**vars(SMALL) | options), {},
                          products=PRODUCTS)  # fmt: skip
        return target

    return run


def test_gdal_finds_names_counts_and_colours(mapped, own_table):
    target = mapped()
    beside, style = style_files(target, PRODUCTS)
    assert (beside.name, style.name) == ("a.map.tif.aux.xml", "a.map.qml")
    band = ElementTree.parse(beside).getroot().find("PAMRasterBand")
    assert [node.text for node in band.find("CategoryNames")] == list(own_table.classes)
    table = band.find("GDALRasterAttributeTable")
    assert [(f.find("Name").text, f.find("Usage").text) for f in table.findall("FieldDefn")] == [
        ("Value", "5"), ("Class_Name", "2"), ("Count", "1"), ("Red", "6"), ("Green", "7"), ("Blue", "8"), ("Alpha", "9")
    ]  # fmt: skip
    rows = [[cell.text for cell in row] for row in table.findall("Row")]
    assert rows == [
        ["0", "bare land", "800", "255", "0", "0", "255"],
        ["1", EVIL, "800", "0", "255", "0", "255"],
        ["2", "water", "700", "0", "0", "255", "255"],
    ]
    with rasterio.open(target) as file:  # the colour table is as long as the classes, whatever the TIFF holds
        assert file.colormap(1) == {i: (*colour, 255) for i, colour in enumerate(own_table.palette)}
        assert file.nodata == 255 and beside.name in [Path(name).name for name in file.files]


def test_the_same_bytes_again_and_a_style_of_the_users_own_stays(mapped, own_table):
    target = mapped()
    files = {path: path.read_bytes() for path in target.parent.iterdir()}
    assert len(files) == 6
    assert mapped() and {path: path.read_bytes() for path in target.parent.iterdir()} == files
    beside, style = style_files(target, PRODUCTS)
    style.write_text("mine")
    beside.unlink()  # killed before it was written
    mapped()
    assert style.read_text() == "mine" and beside.read_bytes() == files[beside]
    mapped(overwrite=True, overlap=0.5)  # another map has its own names
    assert style.read_bytes() == files[style]
    assert not [path for path in target.parent.iterdir() if "tmp" in path.name]


def test_a_full_disk_between_map_and_style_is_made_good(mapped, own_table, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("rsseg.mapping.products.attribute_table", full)
        with pytest.raises(OSError, match="No space"):
            mapped()
    assert all(path.exists() for path in style_files(mapped(), PRODUCTS))


def test_a_geopackage_carries_its_default_style(mapped, own_table):
    package = mapped().with_suffix(".gpkg")
    with sqlite3.connect(package) as file:
        rows = file.execute("SELECT f_table_catalog, f_table_schema, f_table_name, f_geometry_column, useAsDefault, "
                            "styleName, styleQML, update_time FROM layer_styles").fetchall()  # fmt: skip
        ((catalog, schema, layer, column, default, name, style, date),) = rows
        assert (catalog, schema, layer, column, default) == ("", "", "classes", "geom", 1)
        assert name == "own" and date.startswith("2000-01-01T00:00:00") and date.endswith("Z")
        kinds = dict(file.execute("SELECT table_name, data_type FROM gpkg_contents"))
        assert kinds == {"classes": "features", "layer_styles": "attributes"}
        assert file.execute("SELECT column_name FROM gpkg_geometry_columns").fetchall() == [(column,)]
    root = ElementTree.fromstring(style)
    renderer = root.find("renderer-v2")
    assert (renderer.get("type"), renderer.get("attr")) == ("categorizedSymbol", "class")
    assert [node.get("value") for node in renderer.find("categories")] == list(own_table.classes)


@pytest.mark.parametrize("vectors, names", [
    ("geojson", ["a.tif.aux.xml", "a.qml"]), ("other.fgb", ["a.tif.aux.xml", "a.qml", "other.qml"]),
    ("other.gpkg", ["a.tif.aux.xml", "a.qml"]), (None, ["a.tif.aux.xml", "a.qml"]),
])  # fmt: skip
def test_polygons_of_another_name_have_a_style_of_their_own(vectors, names):
    assert [path.name for path in style_files(Path("a.tif"), Products(vectors=vectors))] == names
    assert style_files(Path("a.png"), Products()) == []


def test_qgis_shows_names_and_colours(qgis, mapped, own_table, tmp_path):
    target = mapped()
    bare = tmp_path / "bare"  # what is left without a .qml: names by GDAL, the style in the GeoPackage
    bare.mkdir()
    for path in (target, style_files(target, PRODUCTS)[0]):
        shutil.copy(path, bare / path.name.replace("a.map", "bare"))
    shutil.copy(target.with_suffix(".gpkg"), bare / "bare.gpkg")
    where = GeoReference.of(target)
    for suffix in ("geojson", "fgb"):  # which take the style of the map
        write_layer(target.with_suffix(f".{suffix}"), polygons(target, where.row_areas), own_table, where)
    files = [target, *(target.with_suffix(f".{suffix}") for suffix in ("gpkg", "geojson", "fgb"))]
    found = qgis(tmp_path / "picture.png", *files, bare / "bare.tif", bare / "bare.gpkg")
    colours = {name: "#{:02x}{:02x}{:02x}".format(*c) for name, c in
               zip(own_table.classes, own_table.palette, strict=True)}  # fmt: skip
    assert len(found) == 6
    for name, layer in found.items():
        assert layer["valid"] and layer["renderer"] == ("paletted" if name.endswith("tif") else "categorizedSymbol")
        assert [text for text in layer["legend"] if not text.startswith("Band 1: class")] == [*colours], name
        assert layer["colours"] == colours, name
    with Image.open(tmp_path / "picture.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    spots = {(100, 50): own_table.palette[0], (100, 150): own_table.palette[1], (100, 225): own_table.palette[2],
             (190, 290): (255, 255, 255)}  # fmt: skip
    assert {spot: tuple(pixels[spot].tolist()) for spot in spots} == spots
