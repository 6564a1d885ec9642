"""Areas, polygons and accuracy of a finished map."""

from __future__ import annotations

import csv
import json
import sqlite3
import struct

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.crs import CRS

from rsseg.mapping import MapOptions, Products, Reference, map_raster
from rsseg.mapping.areas import metres_per_pixel, row_areas
from rsseg.mapping.products import make_products
from rsseg.mapping.results import measure_accuracy
from rsseg.mapping.vectors import polygons
from rsseg.metainfo import load_metainfo

# 0 with a hole of 1, a 0 that touches it by a corner only, nothing at the right
MAP = np.array(
    [
        [0, 0, 0, 2, 255],
        [0, 1, 0, 2, 255],
        [0, 0, 0, 2, 255],
        [2, 2, 2, 0, 255],
    ],
    np.uint8,
)


def test_projected_pixels_count_in_their_plane():
    areas, how = row_areas(CRS.from_epsg(32633), Affine(0.4, 0.3, 500000, 0.3, -0.4, 4000000), (3, 9))
    np.testing.assert_allclose(areas, 0.25)
    assert "plane" in how
    feet = row_areas(CRS.from_epsg(2263), Affine(10, 0, 980000, 0, -10, 200000), (2, 2))[0]
    np.testing.assert_allclose(feet, (10 * 0.3048006096) ** 2)


def test_all_pixels_of_the_earth_are_its_surface():
    areas, how = row_areas(CRS.from_epsg(4326), Affine(0.1, 0, -180, 0, -0.1, 90), (1800, 3600))
    assert areas.sum() * 3600 == pytest.approx(510_065_621.7e6, rel=1e-6)  # km2 of the WGS 84 ellipsoid
    assert "ellipsoid" in how


def test_web_mercator_is_not_taken_at_its_word():
    north = 8399737.89  # 60 degrees
    areas, how = row_areas(CRS.from_epsg(3857), Affine(10, 0, 1e6, 0, -10, north), (1, 1))
    assert areas[0] == pytest.approx(100 / 4, rel=0.01)
    assert "ellipsoid" in how
    assert row_areas(None, Affine.identity(), (4, 4))[0] is None


def test_the_size_of_a_degree():
    across, down = metres_per_pixel(CRS.from_epsg(4326), Affine(1e-5, 0, 10, 0, -1e-5, 1e-5), (2, 2))
    assert across == pytest.approx(1.11319, rel=1e-5)
    assert down == pytest.approx(1.10574, rel=1e-5)


@pytest.fixture
def finished(tmp_path):
    """Writes MAP as a finished map, half a metre a pixel."""
    path = tmp_path / "map.tif"
    where = dict(crs="EPSG:32633", transform=Affine(0.5, 0, 500000, 0, -0.5, 4000000))
    with rasterio.open(path, "w", driver="GTiff", count=1, height=4, width=5, dtype="uint8", nodata=255, **where) as f:
        f.write(MAP, 1)
    return path


def test_areas_are_counted_and_written(finished, table, caplog):
    with caplog.at_level("INFO", logger="rsseg"):
        make_products(finished, table, Products())
    with finished.with_name("map_areas.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["class", "pixels", "m2", "km2", "percent"],
        ["red", "9", "2.25", "0.000002", "56.250"],
        ["green", "1", "0.25", "0.000000", "6.250"],
        ["blue", "6", "1.50", "0.000002", "37.500"],
    ]
    assert "4 pixels without data" in caplog.text


def test_polygons_are_connected_regions_with_holes(finished):
    found = sorted(((p.label, p.area, len(p.rings)) for p in polygons(finished, np.full(4, 0.25))), key=str)
    assert found == [(0, 0.25, 1), (0, 2.0, 2), (1, 0.25, 1), (2, 0.75, 1), (2, 0.75, 1)]
    assert len(list(polygons(finished, None, min_area=3))) == 3


def test_geojson_holds_the_polygons_in_coordinates(finished, table):
    make_products(finished, table, Products(vectors="geojson", min_area=2))
    data = json.loads(finished.with_name("map.geojson").read_text())
    assert data["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    (feature,) = data["features"]
    assert feature["properties"] == {"class_id": 0, "class": "red", "area": 2.0}
    outer, hole = feature["geometry"]["coordinates"]
    assert outer[0] == outer[-1]
    assert {tuple(p) for p in outer} == {
        (500000, 4000000),
        (500001.5, 4000000),
        (500001.5, 3999998.5),
        (500000, 3999998.5),
    }
    assert signed(outer) == 2.25 and signed(hole) == -0.25  # against and with the clock


def signed(ring):
    x, y = (np.array(ring) - ring[0]).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


def test_geopackage_holds_what_the_standard_asks_for(finished, table, tmp_path):
    make_products(finished, table, Products(vectors=str(tmp_path / "other.gpkg")))
    path = tmp_path / "other.gpkg"
    assert path.read_bytes()[68:72] == b"GPKG"
    with sqlite3.connect(path) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        content = base.execute("SELECT table_name, data_type, min_x, max_y, srs_id FROM gpkg_contents").fetchall()
        assert content == [("classes", "features", 500000.0, 4000000.0, 32633)]
        systems = dict(base.execute("SELECT srs_id, definition FROM gpkg_spatial_ref_sys"))
        index = base.execute("SELECT fid, minx, maxx, miny, maxy FROM rtree_classes_geom JOIN classes ON id = fid "
                             "WHERE class_id = 1").fetchall()  # fmt: skip
        assert [row[1:] for row in index] == [(500000.5, 500001.0, 3999999.0, 3999999.5)]
        assert base.execute("SELECT COUNT(*) FROM rtree_classes_geom").fetchone() == (5,)
        extension = base.execute(
            "SELECT table_name, column_name, extension_name, scope FROM gpkg_extensions"
        ).fetchall()
        assert extension == [("classes", "geom", "gpkg_rtree_index", "write-only")]
        triggers = {name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
        assert triggers == {
            f"rtree_classes_geom_{n}" for n in ("insert", "update1", "update2", "update3", "update4", "delete")
        }
        assert set(systems) == {-1, 0, 4326, 32633} and CRS.from_wkt(systems[32633]).to_epsg() == 32633
        assert CRS.from_wkt(systems[4326]).to_epsg() == 4326
        rows = base.execute("SELECT geom, class, area FROM classes WHERE class_id = 1").fetchall()
    ((blob, name, area),) = rows
    assert (name, area) == ("green", 0.25)
    assert struct.unpack_from("<2sBBi", blob) == (b"GP", 0, 3, 32633)
    assert struct.unpack_from("<4d", blob, 8) == (500000.5, 500001.0, 3999999.0, 3999999.5)
    assert struct.unpack_from("<BIII", blob, 40) == (1, 3, 1, 5)
    assert signed(np.frombuffer(blob, "<f8", offset=53).reshape(5, 2)) == 0.25
    first = path.read_bytes()
    make_products(finished, table, Products(vectors=str(path)))
    assert path.read_bytes() == first


def test_accuracy_against_labels_on_the_same_and_on_another_grid(finished, table, tmp_path):
    truth = MAP.copy()
    truth[0, 0], truth[3, 3], truth[0, 4] = 2, 255, 1
    reference = tmp_path / "labels.tif"
    where = dict(crs="EPSG:32633", transform=Affine(0.5, 0, 500000, 0, -0.5, 4000000))
    common = dict(driver="GTiff", count=1, dtype="uint8")
    with rasterio.open(reference, "w", height=4, width=5, **common, **where) as file:
        file.write(truth, 1)
    found = measure_accuracy(finished, Reference(str(reference)), table)
    assert found.confusion.tolist() == [[7, 0, 0], [0, 1, 0], [1, 0, 6]]
    assert found.unmapped == 1
    assert found.rows()[-1] == ["OA", "", "", "93.33", "15"]
    # the same labels at a quarter of a metre, of the upper left part only
    where["transform"] = Affine(0.25, 0, 500000, 0, -0.25, 4000000)
    with rasterio.open(reference, "w", height=4, width=4, **common, **where) as file:
        file.write(truth[:2, :2].repeat(2, 0).repeat(2, 1), 1)
    found = measure_accuracy(finished, Reference(str(reference)), table)
    assert found.confusion.tolist() == [[2, 0, 0], [0, 1, 0], [1, 0, 0]]
    with rasterio.open(reference, "w", height=4, width=4, **common) as file:
        file.write(truth[:, :4], 1)
    with pytest.raises(ValueError, match="no CRS relates them"):
        measure_accuracy(finished, Reference(str(reference)), table)


def test_unknown_vector_formats_are_refused():
    with pytest.raises(ValueError, match="gpkg or geojson"):
        Products(vectors="out.shp")


def write_labels(path, labels):
    profile = dict(driver="GTiff", count=1, height=labels.shape[0], width=labels.shape[1], dtype=labels.dtype)
    where = dict(crs="EPSG:32633", transform=Affine(0.5, 0, 500000, 0, -0.5, 4000000))
    with rasterio.open(path, "w", **profile, **where) as f:
        f.write(labels, 1)
    return str(path)


def test_accuracy_where_label_sets_meet(tmp_path):
    """OpenEarthMap's map against LoveDA's labels in six common classes."""
    oem, land = load_metainfo("openearthmap"), load_metainfo("loveda")
    names = [["tree", "tree", "road"], ["rangeland", "building", "agriculture land"]]
    truth = [["forest", "building", "road"], ["background", "building", None]]
    write_labels(tmp_path / "map.tif", np.array([[oem.index(n) for n in row] for row in names], np.uint8))
    raw = np.array([[0 if n is None else land.raw[land.index(n)] for n in row] for row in truth], np.uint8)
    reference = Reference(write_labels(tmp_path / "labels.tif", raw), "loveda", "landcover6", "openearthmap")
    found = measure_accuracy(tmp_path / "map.tif", reference, oem)
    assert found.classes == ("bareland", "other", "road", "tree", "water", "building")
    expected = np.zeros((6, 6), int)
    expected[3, 3] = expected[5, 3] = expected[2, 2] = expected[1, 1] = expected[5, 5] = 1
    assert found.confusion.tolist() == expected.tolist()
    assert found.rows()[-1] == ["OA", "", "", "80.00", "5"]
    assert found.unscored == ()
    with pytest.raises(ValueError, match=r"the reference loveda's; .*--merge"):
        Reference(reference.path, "loveda", None, "openearthmap")
    with pytest.raises(ValueError, match="does not say what becomes of isaid's classes"):
        Reference(reference.path, "isaid", "landcover6", "openearthmap")


def test_classes_without_scores_stay_out_of_the_means(tmp_path):
    table = load_metainfo("floodnet")
    assert table.unscored == (0,)
    write_labels(tmp_path / "map.tif", np.array([[1, 2, 0, 1]], np.uint8))
    reference = Reference(write_labels(tmp_path / "labels.tif", np.array([[1, 2, 1, 1]], np.uint8)))
    found = measure_accuracy(tmp_path / "map.tif", reference, table)
    assert found.unscored == (0,) and "leave out background" in str(found)
    assert found.rows()[-2][1] == f"{(200 / 3 + 100) / 2:.2f}"  # IoU of 2 of 3 and of 1 of 1


def test_products_that_cannot_be_made_are_known_before_the_work(stub, table, noise, write_raster, tmp_path):
    source = write_raster(noise(3, 20, 20))
    wide = write_labels(tmp_path / "wide.tif", np.zeros((20, 20), np.uint16))
    for wanted, error, message in (
        (Products(reference=Reference("nothing.tif")), OSError, "nothing.tif: not a raster"),
        (Products(reference=Reference(wide)), ValueError, "labels are uint16, not 8 bits"),
        (Products(vectors=str(tmp_path / "no" / "out.gpkg")), OSError, "there is no folder"),
    ):
        with pytest.raises(error, match=message):
            map_raster(str(source), tmp_path / "map.tif", stub, table, MapOptions(window=(16, 16)), {}, wanted=wanted)
    assert not stub.batches and not (tmp_path / "map.tif").exists()
