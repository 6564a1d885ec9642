"""Areas, polygons and accuracy of a finished map."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from rsseg.mapping import MapOptions, Products, Reference, map_raster
from rsseg.mapping.products import make_products
from rsseg.mapping.results import measure_accuracy
from rsseg.mapping.vectors import Polygons, polygons
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
    found = Polygons.joined(list(polygons(finished, np.full(4, 0.25))))
    rings = np.bincount(found.rings.owners)
    rows = sorted(zip(found.labels.tolist(), found.areas.tolist(), rings.tolist(), strict=True))
    assert rows == [(0, 0.25, 1), (0, 2.0, 2), (1, 0.25, 1), (2, 0.75, 1), (2, 0.75, 1)]
    assert sum(map(len, polygons(finished, None, min_area=3))) == 3


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
    with pytest.raises(ValueError, match="gpkg, geojson, fgb, parquet, not as 'shp'"):
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
    with pytest.raises(ValueError, match=r"the reference those of 'loveda'; .*--merge"):
        Reference(reference.path, "loveda", None, "openearthmap")
    with pytest.raises(ValueError, match="has no mapping for the classes of 'isaid'"):
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
            map_raster(str(source), tmp_path / "map.tif", stub, table, MapOptions(window=(16, 16)), {}, products=wanted)
    assert not stub.batches and not (tmp_path / "map.tif").exists()
