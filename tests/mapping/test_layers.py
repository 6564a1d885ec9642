"""Polygons as files: what other programs read in them, the same bytes again, memory, full disks."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.features import rasterize
from rasterio.rpc import RPC
from rasterio.warp import transform as transform_points

from rsseg.errors import ConfigError
from rsseg.io.georeference import GeoReference
from rsseg.mapping import Products, layers
from rsseg.mapping.layers import FORMATS, write_layer
from rsseg.mapping.products import make_products
from rsseg.mapping.vectors import Polygons, polygons
from rsseg.metainfo import load_metainfo
from rsseg.structures.rings import Rings

RPCS = RPC(
    0, 500, 40, 0.1, [1] + [0] * 19, [0, 0, -1] + [0] * 17, 2, 2, 15, 0.1, [1] + [0] * 19, [0, 1] + [0] * 18, 2, 2
)
UTM = CRS.from_epsg(32633)
OWN = CRS.from_proj4("+proj=laea +lat_0=40.5 +lon_0=14.5 +ellps=GRS80 +units=m")
# 0 with a hole of 1, a 0 that touches it by a corner only, nothing at the right
MAP = np.array([[0, 0, 0, 2, 255], [0, 1, 0, 2, 255], [0, 0, 0, 2, 255], [2, 2, 2, 0, 255]], np.uint8)


@pytest.fixture
def write_map(tmp_path):
    def write(labels=MAP, **profile):
        height, width = labels.shape
        common = dict(driver="GTiff", count=1, height=height, width=width, dtype="uint8", nodata=255)
        with rasterio.open(tmp_path / "map.tif", "w", **common, **profile) as file:
            file.write(labels, 1)
        return tmp_path / "map.tif"

    return write


def read(path):
    """Polygons, their fields and the CRS as other programs see them."""
    if path.suffix == ".parquet":
        from pyarrow import parquet

        rows = parquet.read_table(path)
        geo = json.loads(rows.schema.metadata[b"geo"])["columns"]["geometry"]
        crs = None if geo["crs"] is None else CRS.from_user_input(json.dumps(geo["crs"]))
        fields = {name: rows[name].to_numpy() for name in rows.column_names if name != "geometry"}
        return shapely.from_wkb(rows["geometry"].to_pylist()), fields, crs
    meta, _, geometry, values = pyogrio.raw.read(path, layer=pyogrio.list_layers(path)[0, 0])
    crs = None if meta["crs"] is None else CRS.from_user_input(meta["crs"])
    return shapely.from_wkb(geometry), dict(zip(meta["fields"], values, strict=True)), crs


def test_what_crosses_itself_is_made_valid(tmp_path, caplog):
    """As a transform may leave an outline: a bow tie becomes two polygons, which share its area; others stay."""
    square, bow_tie = ([[0, 0], [4, 0], [4, 4], [0, 4]], [[9, 0], [13, 0], [9, 2], [13, 2]])
    points = np.concatenate([np.add(ring, (20 * i, 0)) for i, ring in enumerate((square, bow_tie, square + square))])
    rings = Rings(points, np.array([4, 4, 8]), np.arange(3))
    found = [Polygons(np.arange(3), np.full(3, 16.0), rings)]
    path = tmp_path / "a.gpkg"
    write_layer(path, found, load_metainfo("potsdam"), GeoReference((40, 60)))
    shapes, fields, _ = read(path)
    assert shapely.is_valid(shapes).all() and fields["class_id"].tolist() == [0, 1, 1, 2]
    assert shapely.area(shapes).tolist() == [16, 2, 2, 16] and fields["area_px"].tolist() == [16, 8, 8, 16]
    assert all(shapely.is_ccw(shape.exterior) for shape in shapes) and "were made valid" in caplog.text


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    "transform",
    [
        Affine(0.5, 0, 500000, 0, -0.5, 4000000),
        Affine(0.5, 0, 500000, 0, 0.5, 4000000),  # south up
        Affine(0.4, 0.3, 500000, 0.3, -0.4, 4000000),  # rotated
    ],
)
def test_every_format_holds_the_map(suffix, transform, write_map, table, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr(layers, "_POLYGONS", 2)  # three batches
    path = write_map(crs=UTM, transform=transform)
    make_products(path, table, Products(vectors=suffix))
    made = path.with_suffix(f".{suffix}")
    shapes, fields, crs = read(made)
    assert crs == UTM and shapely.is_valid(shapes).all()
    rows = zip(fields["class_id"].tolist(), fields["class"].tolist(), fields["area_m2"].tolist(), strict=True)
    expected = [(0, "red", 0.25), (0, "red", 2.0), (1, "green", 0.25), (2, "blue", 0.75), (2, "blue", 0.75)]
    assert sorted((i, name, round(area, 9)) for i, name, area in rows) == expected
    np.testing.assert_allclose(shapely.area(shapes), fields["area_m2"])
    for label, pixels in ((0, 9), (1, 1), (2, 6)):  # what make_products counts too
        assert shapely.area(shapes[fields["class_id"] == label]).sum() == pytest.approx(pixels * 0.25)
    back = rasterize(zip(shapes, fields["class_id"], strict=True), MAP.shape, 255, transform=transform, dtype="uint8")
    np.testing.assert_array_equal(back, MAP)
    assert all(shapely.is_ccw(shape.exterior) for shape in shapes)  # and holes the other way
    assert [shapely.is_ccw(ring) for shape in shapes for ring in shape.interiors] == [False]
    assert sorted(p.name for p in path.parent.iterdir() if p.name.startswith(".")) == []
    first = made.read_bytes()
    time.sleep(1.1)  # times in files have seconds
    make_products(path, table, Products(vectors=suffix))
    assert made.read_bytes() == first and "Created" not in caplog.text


def test_a_geopackage_has_an_index_and_no_date_of_today(write_map, table):
    path = write_map(crs=UTM, transform=Affine(0.5, 0, 500000, 0, -0.5, 4000000))
    make_products(path, table, Products(vectors="gpkg"))
    made = path.with_suffix(".gpkg")
    assert pyogrio.list_layers(made).tolist() == [["classes", "Polygon"], ["layer_styles", None]]
    sql = "SELECT last_change, min_x, max_y, srs_id FROM gpkg_contents"
    _, _, _, values = pyogrio.raw.read(made, sql=sql)
    assert [str(v[0]) for v in values] == ["2000-01-01T00:00:00.000", "500000.0", "4000000.0", "32633"]
    _, _, _, values = pyogrio.raw.read(made, sql="SELECT COUNT(*) AS n FROM rtree_classes_geom")
    assert values[0].tolist() == [5]
    _, _, geometry, _ = pyogrio.raw.read(made, layer="classes", bbox=(500000.6, 3999999.1, 500000.9, 3999999.4))
    assert len(geometry) == 1  # only the green pixel is there


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_crs_of_ones_own(suffix, write_map, table):
    """Only GeoJSON cannot name it, and is written in WGS 84, where (0, 0) is 14.5 degrees east and 40.5 north."""
    path = write_map(crs=OWN, transform=Affine(100, 0, 0, 0, -100, 0))
    make_products(path, table, Products(vectors=suffix))
    shapes, fields, crs = read(path.with_suffix(f".{suffix}"))
    assert sorted(fields["area_m2"].tolist()) == [10000, 10000, 30000, 30000, 80000]
    if suffix == "geojson":
        assert crs.to_epsg() == 4326
        left, _, _, top = shapely.total_bounds(shapes)
        assert (left, top) == pytest.approx((14.5, 40.5), abs=1e-9)
    else:
        assert crs.to_dict()["lat_0"] == 40.5 and shapely.total_bounds(shapes).tolist() == [0, -400, 400, 0]


@pytest.mark.parametrize("suffix", FORMATS)
def test_degrees_stay_in_the_order_of_programs(suffix, write_map, table):
    path = write_map(crs="EPSG:4326", transform=Affine(0.1, 0, 10, 0, -0.1, 50))
    make_products(path, table, Products(vectors=suffix))
    shapes, _, crs = read(path.with_suffix(f".{suffix}"))
    assert crs.to_epsg() == 4326
    np.testing.assert_allclose(shapely.total_bounds(shapes), [10, 49.6, 10.4, 50])


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_map_without_a_crs_and_one_without_polygons(suffix, write_map, table):
    path = write_map()
    make_products(path, table, Products(vectors=suffix))
    shapes, fields, crs = read(path.with_suffix(f".{suffix}"))
    assert len(shapes) == 5 and sorted(fields["area_px"].tolist()) == [1, 1, 3, 3, 8]
    assert crs is None or suffix == "geojson" or crs.to_epsg() is None
    path = write_map(np.full((4, 5), 255, np.uint8), crs=UTM, transform=Affine(0.5, 0, 500000, 0, -0.5, 4000000))
    make_products(path, table, Products(vectors=suffix))
    shapes, _, crs = read(path.with_suffix(f".{suffix}"))
    assert len(shapes) == 0


def test_control_points_place_polygons(write_map, table):
    points = [GroundControlPoint(r, c, 500000 + 2 * c, 4000000 - 3 * r) for r, c in ((0, 0), (0, 5), (4, 0), (4, 5))]
    path = write_map(crs=UTM, gcps=points)
    make_products(path, table, Products(vectors="fgb"))
    shapes, fields, crs = read(path.with_suffix(".fgb"))
    assert crs == UTM and sorted(fields["area_m2"].tolist()) == pytest.approx([6, 6, 18, 18, 48])
    np.testing.assert_allclose(shapely.total_bounds(shapes), [500000, 3999988, 500008, 4000000], atol=1e-6)
    assert "ground control points" not in path.with_name("map_areas.csv").read_text()


@pytest.mark.parametrize("tolerance", [0, 1.5])
@pytest.mark.parametrize("seed", range(3))
def test_polygons_are_valid_and_cover_the_map_once(seed, tolerance, write_map, table, monkeypatch):
    monkeypatch.setattr("rsseg.mapping.vectors._ROWS", (16, 16))
    labels = np.random.default_rng(seed).integers(0, 3, (20, 25)).repeat(3, 0).repeat(3, 1).astype(np.uint8)
    path = write_map(labels, crs=UTM, transform=Affine(1, 0, 500000, 0, -1, 4000000))
    write_layer(path.with_suffix(".gpkg"), polygons(path, None, 0, tolerance), table, GeoReference.of(path))
    shapes, _, _ = read(path.with_suffix(".gpkg"))
    assert shapely.is_valid(shapes).all()
    assert shapely.area(shapes).sum() == pytest.approx(labels.size)
    assert shapely.union_all(shapes).area == pytest.approx(labels.size)


def test_formats_that_cannot_be_written(monkeypatch):
    with pytest.raises(ConfigError, match=r"--vectors out\.shp: polygons are written as gpkg, geojson, fgb, parquet"):
        Products(vectors="out.shp")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"--vectors parquet: GeoParquet needs the package pyarrow: .*or choose gpkg"):
        Products(vectors="parquet")


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_full_disk_leaves_no_file(suffix, write_map, table):
    labels = np.random.default_rng(0).integers(0, 3, (120, 120)).astype(np.uint8)
    path = write_map(labels, crs=UTM, transform=Affine(1, 0, 500000, 0, -1, 4000000))
    target = path.with_suffix(f".{suffix}")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    found = list(polygons(path, None))
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    try:
        with pytest.raises(OSError, match=f"cannot write .*map.{suffix}"):
            write_layer(target, found, table, GeoReference.of(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(p.name for p in path.parent.iterdir()) == ["map.tif", "rgb.json"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", FORMATS)
def test_memory_does_not_grow_with_the_number_of_polygons(suffix, write_map, tmp_path, repo):
    code = (
        "import resource, sys; from pathlib import Path; import numpy as np\n"
        "from rsseg.mapping.layers import write_layer; from rsseg.mapping.vectors import Polygons\n"
        "from rsseg.io.georeference import GeoReference; from rsseg.metainfo import load_metainfo\n"
        "from rsseg.structures.rings import Rings\n"
        "ring = np.tile([[0, 0], [0, 1], [1, 1], [1, 0]], (1000, 1))\n"
        "rings = Rings(ring + np.repeat(np.arange(1000), 4)[:, None], np.full(1000, 4), np.arange(1000))\n"
        "batch = Polygons(np.zeros(1000, int), np.ones(1000), rings)\n"
        "def found(n): return (batch for i in range(n // 1000))\n"
        "path, where = Path(sys.argv[1]), GeoReference((9, 9))\n"
        "write_layer(path, found(10000), load_metainfo('loveda'), where)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "write_layer(path, found(80000), load_metainfo('loveda'), where)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    run = [sys.executable, "-c", code, tmp_path / f"x.{suffix}"]
    done = subprocess.run(run, cwd=repo, capture_output=True, text=True, check=True, env={**os.environ})
    assert int(done.stdout) < 40 * 1024  # KiB; all of them at once would take 80 MiB


WEB = Affine(2, 0, 1_000_000, 0, -2, 8_399_737)  # 60 degrees north: its plane is four times too large


@pytest.mark.parametrize("tolerance", [0, 1.5])
@pytest.mark.parametrize("crs, transform", [
    (UTM, Affine(0.5, 0, 500000, 0, -0.5, 4000000)), (UTM, Affine(0.4, 0.3, 500000, 0.3, -0.4, 4000000)),
    ("EPSG:2263", Affine(3, 0, 980000, 0, -3, 200000)),  # US survey feet
    ("EPSG:4326", Affine(0.01, 0, 10, 0, -0.01, 50)), ("EPSG:4326", Affine(0.01, 0, 10, 0, 0.01, 49)),
    ("EPSG:3857", WEB),
])  # fmt: skip
def test_areas_are_those_of_the_geometry(crs, transform, tolerance, write_map, table, monkeypatch):
    """Holes, seams and simplified outlines, in the plane or on the ellipsoid: together they are the map's area."""
    monkeypatch.setattr("rsseg.mapping.vectors._ROWS", (16, 16))
    labels = np.random.default_rng(4).integers(0, 3, (14, 20)).repeat(4, 0).repeat(4, 1).astype(np.uint8)
    path = write_map(np.where(labels == 2, np.roll(labels, 1, 1), labels), crs=crs, transform=transform)
    make_products(path, table, Products(vectors="gpkg", tolerance=tolerance))
    shapes, fields, _ = read(path.with_suffix(".gpkg"))
    where, areas = GeoReference.of(path), fields["area_m2"]
    assert any(len(shape.interiors) for shape in shapes)
    assert areas.sum() == pytest.approx(where.row_areas.sum() * labels.shape[1], rel=1e-9)
    if where.plane_unit is not None:
        np.testing.assert_allclose(areas, shapely.area(shapes) * where.plane_unit**2, rtol=1e-9)
    elif crs == "EPSG:4326":
        np.testing.assert_allclose(areas, ellipsoidal_areas(shapes), rtol=1e-6)
    else:  # so small that all pixels are as large as the one in the middle
        np.testing.assert_allclose(areas, shapely.area(shapes) * where.row_areas.mean() / 4, rtol=1e-3)


def ellipsoidal_areas(shapes):
    """Square metres on WGS 84 by an equal-area projection, of outlines with a point every 0.0005 degrees."""
    out = []
    equal = CRS.from_proj4("+proj=cea +ellps=WGS84 +units=m")
    for shape in shapely.segmentize(shapes, 0.0005):
        rings = [np.array(ring.coords) for ring in (shape.exterior, *shape.interiors)]
        moved = [np.column_stack(transform_points("EPSG:4326", equal, *ring.T.tolist())) for ring in rings]
        out.append(shapely.Polygon(moved[0], moved[1:]).area)
    return out


def test_maps_whose_rows_have_no_common_size_have_the_areas_of_their_polygons(write_map, table):
    """Control points on a curve, in metres and in degrees; and a rotated map in degrees."""
    curve = [(r, c, 2 * c + 0.1 * c * c, -3 * r + 0.1 * c * r) for r in (0, 2, 4) for c in (0, 2, 5)]
    for crs, scale, x, y in ((UTM, 1, 500000, 4000000), ("EPSG:4326", 0.01, 10, 50)):
        points = [GroundControlPoint(r, c, x + scale * across, y + scale * up) for r, c, across, up in curve]
        path = write_map(crs=crs, gcps=points)
        make_products(path, table, Products(vectors="gpkg"))
        shapes, fields, _ = read(path.with_suffix(".gpkg"))
        assert GeoReference.of(path).affine is None
        expected = shapely.area(shapes) if crs == UTM else ellipsoidal_areas(shapes)
        np.testing.assert_allclose(fields["area_m2"], expected, rtol=1e-7)
    path = write_map(crs="EPSG:4326", transform=Affine(0.08, 0.06, 10, 0.06, -0.08, 50))
    make_products(path, table, Products(vectors="gpkg"))
    shapes, fields, _ = read(path.with_suffix(".gpkg"))
    np.testing.assert_allclose(fields["area_m2"], ellipsoidal_areas(shapes), rtol=1e-7)
    assert GeoReference.of(path).row_areas.sum() * 4 == pytest.approx(fields["area_m2"].sum(), rel=0.02)


@pytest.mark.parametrize("profile, message", [
    ({}, "the coordinates are pixels of the map (x to the right, y downwards) and areas are in pixels (area_px), "
         "because the raster has no georeference"),
    ({"crs": UTM}, "because the raster has a CRS but no transform"),
    ({"rpcs": RPCS}, "because the raster has rational polynomial coefficients (RPC) only"),
    ({"transform": Affine(2, 0, 10, 0, -2, 60)}, "has no CRS, because the raster has none: coordinates are those of "
     "its transform, areas are in pixels (area_px), and GeoJSON readers take the coordinates for degrees; assign"),
    ({"crs": UTM, "transform": Affine(2, 0, 10, 0, -2, 60)}, None),
])  # fmt: skip
def test_coordinates_that_are_none_on_earth_are_said(profile, message, write_map, table, caplog):
    path = write_map(**profile)
    make_products(path, table, Products(vectors="geojson"))
    found = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(found) == (message is not None) and (message is None or message in found[0])
    assert message is None or found[0].startswith(str(path.with_suffix(".geojson")))


@pytest.mark.parametrize("crs", [UTM, OWN, None])
def test_geoparquet_follows_its_specification(crs, write_map, table, monkeypatch):
    """Version 1.1: what the metadata must and may say, and that the bounds in the file are those of the polygons."""
    from pyarrow import compute, parquet

    monkeypatch.setattr(layers, "_POLYGONS", 2)
    path = write_map(transform=Affine(0.5, 0, 500000, 0, -0.5, 4000000), **({} if crs is None else {"crs": crs}))
    make_products(path, table, Products(vectors="parquet"))
    file = parquet.ParquetFile(path.with_suffix(".parquet"))
    geo = json.loads(file.metadata.metadata[b"geo"])
    column = geo["columns"]["geometry"]
    assert geo.keys() == {"version", "primary_column", "columns"} and geo["version"] == "1.1.0"
    assert (
        geo["primary_column"] == "geometry" and column["encoding"] == "WKB" and column["geometry_types"] == ["Polygon"]
    )
    assert column["orientation"] == "counterclockwise"
    if crs is None:
        assert column["crs"] is None  # no key would mean longitude and latitude
    else:
        assert column["crs"]["type"] == "ProjectedCRS" and CRS.from_user_input(json.dumps(column["crs"])) == crs
    sides = ["xmin", "ymin", "xmax", "ymax"]
    assert column["covering"] == {"bbox": {side: ["bbox", side] for side in sides}}
    rows = file.read()
    shapes = shapely.from_wkb(rows["geometry"].to_pylist())
    np.testing.assert_array_equal(
        [[row[side] for side in sides] for row in rows["bbox"].to_pylist()], shapely.bounds(shapes)
    )
    assert file.metadata.num_row_groups == 3 and file.schema_arrow.field("geometry").type == "binary"
    found = parquet.read_table(path.with_suffix(".parquet"), filters=compute.field("bbox", "xmin") > 500000.4)
    assert found.num_rows == (shapely.bounds(shapes)[:, 0] > 500000.4).sum()


def test_flatgeobuf_has_a_spatial_index(write_map, table):
    path = write_map(crs=UTM, transform=Affine(0.5, 0, 500000, 0, -0.5, 4000000))
    make_products(path, table, Products(vectors="fgb"))
    made = path.with_suffix(".fgb")
    assert made.read_bytes()[:8] == b"fgb\x03fgb\x01"  # version 3 of the format
    info = pyogrio.read_info(made)
    assert info["capabilities"]["fast_spatial_filter"] and info["features"] == 5 and info["crs"] == "EPSG:32633"
    geometry = pyogrio.raw.read(made, bbox=(500001.6, 3999998.1, 500001.9, 3999998.4))[2]
    assert len(geometry) == 1 and shapely.from_wkb(geometry)[0].equals(
        shapely.box(500001.5, 3999998, 500002, 3999998.5)
    )
