"""Areas of interest on the pixels of rasters: those whose centres lie in them, across CRSs, poles and 180 degrees."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import shapely
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC
from rasterio.warp import transform

from rsseg.errors import ConfigError, DataError
from rsseg.io.georeference import GeoReference
from rsseg.mapping.area import Area
from rsseg.mapping.masking import OutsideAreaError
from rsseg.mapping.selecting import read_area, selected_area

UTM = GeoReference((600, 700), CRS.from_epsg(32633), Affine(1000, 0, 200000, 0, -1000, 6000000))
FIJI = GeoReference((600, 900), CRS.from_epsg(32760), Affine(1000, 0, 600000, 0, -1000, 8300000))
ARCTIC = GeoReference((400, 400), CRS.from_epsg(3413), Affine(10000, 0, -2000000, 0, -10000, 2000000))
WORLD = GeoReference((360, 720), CRS.from_epsg(4326), Affine(0.5, 0, -180, 0, -0.5, 90))
EAST = GeoReference((360, 720), CRS.from_epsg(4326), Affine(0.05, 0, 170, 0, -0.05, -10))


def by_centres(shape: Any, crs: CRS, grid: GeoReference) -> np.ndarray:
    """Pixels whose centre is in a shape, each asked for itself."""
    columns, rows = np.meshgrid(np.arange(grid.size[1]) + 0.5, np.arange(grid.size[0]) + 0.5)
    x, y = grid.coordinates(columns.ravel(), rows.ravel())
    if grid.crs is not None and grid.crs != crs:
        x, y = (np.array(axis) for axis in transform(grid.crs, crs, x.tolist(), y.tolist())[:2])
    turns = (-360, 0, 360) if crs.is_geographic else (0,)
    inside = np.any([shapely.intersects_xy(shape, x + turn, y) for turn in turns], axis=0)
    return np.asarray(inside).reshape(grid.size)


@pytest.mark.parametrize(
    "box, crs, grid",
    [
        ((13, 50, 17, 52), 4326, UTM),  # parallels are curves in UTM: 22 pixels at 52 degrees
        ((-180, -90, 180, 90), 4326, UTM),
        ((4200000, 2800000, 4600000, 3100000), 3035, UTM),
        ((179, -20, 181, -17), 4326, FIJI),  # over the 180th meridian
        ((-180, -20, -178, -17), 4326, FIJI),
        ((2500000, -3000000, 4500000, -1000000), 3832, WORLD),  # both ends of the raster
        ((500000, 7700000, 1200000, 8300000), 32760, EAST),  # longitudes from 170 to 206
        ((-180, 80, 180, 90), 4326, ARCTIC),  # the pole in the middle
        ((170, 75, 200, 88), 4326, ARCTIC),
        ((-1000000, -1000000, 1000000, 1000000), 3413, WORLD),  # around the pole
        ((250000, 5500000, 300000, 5600000), 32633, UTM),
    ],
)
def test_pixels_are_those_whose_centres_lie_in_the_area(box: Any, crs: int, grid: GeoReference) -> None:
    shape, system = shapely.box(*box), CRS.from_epsg(crs)
    expected = by_centres(shape, system, grid)
    found = Area.of("a box", [shape], system).on(grid, "raster")
    x1, y1, x2, y2 = found.window
    mask = np.zeros(grid.size, bool)
    mask[y1:y2, x1:x2] = found.mask(*found.window)
    outline = expected ^ np.pad(expected, 1)[2:, 1:-1] | expected ^ np.pad(expected, 1)[1:-1, 2:]
    differing = mask ^ expected
    assert expected.any() and differing.sum() <= 0.03 * outline.sum() + 1
    rows, columns = np.nonzero(expected)
    assert np.abs(np.subtract(found.window, (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))).max() <= 1


def test_windows_of_a_mask_fit_together() -> None:
    shape = shapely.Point(15, 51).buffer(1.5)
    found = Area.of("a disc", [shape], CRS.from_epsg(4326)).on(UTM, "raster")
    whole = found.mask(0, 0, 700, 600)
    for y in range(0, 600, 97):
        for x in range(0, 700, 89):
            assert (found.mask(x, y, x + 89, y + 97)[: 600 - y, : 700 - x] == whole[y : y + 97, x : x + 89]).all()


def test_rasters_that_are_bent_by_points_or_lie_by_rpcs() -> None:
    corners = [(0, 0), (0, 100), (80, 0), (80, 100), (40, 50)]
    points = [GroundControlPoint(r, c, 500000 + 10 * c + 0.02 * r * c, 4000000 - 10 * r) for r, c in corners]
    bent = GeoReference((80, 100), CRS.from_epsg(32633), gcps=tuple(points))
    assert bent.affine is None
    shape = shapely.box(500200, 3999500, 500600, 3999800)
    found = Area.of("a box", [shape], bent.crs).on(bent, "raster")
    assert (
        found.mask(0, 0, 100, 80) ^ by_centres(shape, CRS.from_epsg(32633), bent)
    ).sum() <= 8  # GDAL fits both ways apart
    rpc = RPC(0, 1, 0, 1, 0, [1.0] * 20, [1.0] * 20, 0, 1, 0, [1.0] * 20, [1.0] * 20, 0, 1)
    with pytest.raises(DataError, match="orthorectify it first"):
        Area.of("a box", [shape], bent.crs).on(GeoReference((80, 100), rpcs=rpc), "raster.tif")


def test_shapes_between_the_centres_of_pixels_hold_none() -> None:
    grid = GeoReference((100, 200), CRS.from_epsg(32633), Affine(10, 0, 500000, 0, -10, 4000000))
    specks = [shapely.box(x + 0.1, y + 0.1, x + 4.9, y + 4.9) for x, y in ((500100, 3999990), (500900, 3999090))]
    along = shapely.Polygon([(500000, 3999993), (500700, 3999293), (500700, 3999293.5), (500000, 3999993.5)])
    for shapes in (specks, [along]):
        with pytest.raises(OutsideAreaError, match="has no pixel in a"):
            Area.of("a", shapes, grid.crs).on(grid, "r.tif")
    found = Area.of("a", [*specks, shapely.box(500502, 3999502, 500507, 3999507)], grid.crs).on(grid, "r.tif")
    assert found.mask(0, 0, 200, 100).sum() == found.mask(50, 49, 51, 50).sum() == 1


def test_a_raster_beside_the_area_is_named_with_both_extents() -> None:
    with pytest.raises(OutsideAreaError) as error:
        Area.of("--bounds 0,0,1,1", [shapely.box(0, 0, 1, 1)], CRS.from_epsg(4326)).on(UTM, "r.tif")
    assert str(error.value) == ("r.tif: has no pixel in --bounds 0,0,1,1; the area lies at (0, 0, 1, 1) degrees, the "
                                "raster at (10.41512, 48.6249, 21.1048, 54.06068) degrees")  # fmt: skip
    with pytest.raises(DataError, match="the raster has no CRS"):
        Area.of("a", [shapely.box(0, 0, 1, 1)], CRS.from_epsg(4326)).on(
            GeoReference((9, 9), None, Affine.scale(2)), "r"
        )


def write_polygons(path: Path, shapes: list[Any], crs: str | None, layer: str = "fields", **more: Any) -> Path:
    made = shapely.to_wkb(np.array(shapes, object))
    pyogrio.raw.write(path, made, [], [], layer=layer, crs=crs, geometry_type="Unknown", **more)
    return path


def test_polygons_of_any_vector_file(tmp_path: Path) -> None:
    square, other = shapely.box(0, 0, 2, 2), shapely.box(1, 1, 3, 3)
    both = shapely.MultiPolygon([shapely.box(10, 0, 11, 1), shapely.box(12, 0, 13, 1)])
    for name in ("a.gpkg", "a.geojson", "a.fgb", "a.shp"):
        shapes = [square, other] if name == "a.shp" else [square, other, both]
        area = read_area(str(write_polygons(tmp_path / name, shapes, "EPSG:4326")))
        assert area.geometry.area == (7 if name == "a.shp" else 9) and area.crs == CRS.from_epsg(4326), name
        assert area.boxes() == (((0, 0, 3, 3),) if name == "a.shp" else ((0, 0, 13, 3),))
    several = write_polygons(tmp_path / "two.gpkg", [square], "EPSG:4326")
    write_polygons(several, [other], "EPSG:25832", "plots", append=True)
    with pytest.raises(DataError, match=r"several layers; name one, .*two.gpkg\|layername=fields"):
        read_area(str(several))
    assert read_area(f"{several}|layername=plots").crs == CRS.from_epsg(25832)
    with pytest.raises(DataError, match="no layer 'roads'"):
        read_area(f"{several}|layername=roads")
    with pytest.raises(DataError, match="shapes of type Point; expected polygons"):
        read_area(str(write_polygons(tmp_path / "points.geojson", [shapely.Point(1, 1)], "EPSG:4326")))
    with pytest.raises(FileNotFoundError, match="expected polygons for --aoi"):
        read_area(str(tmp_path / "none.gpkg"))
    (tmp_path / "text.gpkg").write_text("no")
    with pytest.raises(DataError, match="cannot be read as polygons"):
        read_area(str(tmp_path / "text.gpkg"))


def test_polygons_of_geoparquet(tmp_path: Path) -> None:
    """As rsseg and geopandas write it; without a CRS in it, coordinates are degrees."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    box, path = shapely.box(10, 50, 11, 51), tmp_path / "a.parquet"
    for crs, code in ((CRS.from_epsg(32633).to_dict(projjson=True), 32633), (None, None), ("missing", 4326)):
        column = {"encoding": "WKB", "geometry_types": ["Polygon"], **({} if crs == "missing" else {"crs": crs})}
        about = {"version": "1.1.0", "primary_column": "outline", "columns": {"outline": column}}
        table = pa.table({"name": ["a"], "outline": [box.wkb]})
        parquet.write_table(table.replace_schema_metadata({"geo": json.dumps(about)}), path)
        found = read_area(str(path))
        assert found.geometry.equals(box) and found.label == "a.parquet"
        assert found.crs == (None if code is None else CRS.from_epsg(code))
    parquet.write_table(pa.table({"name": ["a"]}), path)
    with pytest.raises(DataError, match=r"a\.parquet: cannot be read as GeoParquet"):
        read_area(str(path))
    with pytest.raises(FileNotFoundError, match="no such file; expected polygons"):
        read_area(str(tmp_path / "b.parquet"))
    with pytest.raises(DataError, match="download it first"):
        read_area("https://host/a.parquet?sig=1")


def test_shapes_that_are_no_polygons_are_named(tmp_path: Path) -> None:
    open_ring = '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}'
    (tmp_path / "open.geojson").write_text(open_ring)
    (tmp_path / "tin.csv").write_text('id,WKT\n1,"TIN Z (((0 0 0,1 0 0,1 1 0,0 0 0)))"\n')
    for name in ("open.geojson", "tin.csv"):
        with pytest.raises(DataError, match=rf"{name}: has a shape that is no polygon"):
            read_area(str(tmp_path / name))
    with pytest.raises(DataError, match="no finite numbers"):
        select(bounds=(-math.inf, 0, math.inf, 1), bounds_crs="EPSG:32633")


def test_maps_name_the_file_without_its_folder(tmp_path: Path) -> None:
    path = write_polygons(tmp_path / "a.gpkg", [shapely.box(0, 0, 1, 1)], "EPSG:4326")
    found = [read_area(source) for source in (str(path), f"file://{path}", f"{path}|layername=fields")]
    assert [area.label for area in found] == ["a.gpkg", "a.gpkg", "a.gpkg|layername=fields"]
    assert len({area.digest for area in found}) == 1


def select(**options: Any) -> Area | None:
    return selected_area(argparse.Namespace(**{"aoi": None, "bounds": None, "bounds_crs": None, **options}))


def test_bounds_are_degrees_or_in_a_crs_of_the_user(caplog: pytest.LogCaptureFixture) -> None:
    assert select() is None
    area = select(bounds=(5.5, 47, 6, 48))
    assert area is not None and area.boxes() == ((5.5, 47, 6, 48),)
    pacific = select(bounds=(179, -20, -178, -17))
    assert pacific is not None and pacific.boxes() == ((179, -20, 180, -17), (-180, -20, -178, -17))
    assert not caplog.text
    select(bounds=(6, 47, 5.5, 48))  # rather a mistake
    assert "--bounds 6,47,5.5,48: reaches over the 180th meridian, 359.5 degrees wide" in caplog.text
    metres = select(bounds=(500000, 5200000, 500100, 5200100), bounds_crs="EPSG:25832")
    assert metres is not None and metres.crs == CRS.from_epsg(25832)
    for options, text in (
        ({"bounds": (0, 5, 1, 2)}, "south must be less than north"),
        ({"bounds": (0, 5, 1, 95)}, "from -90 to 90"),
        ({"bounds": (0, 5, 1)}, "expected four numbers"),
        ({"bounds": (3, 5, 1, 6), "bounds_crs": "EPSG:25832"}, "west less than east"),
        ({"bounds": (0, 5, 1, 6), "bounds_crs": "EPSG:none"}, "is no CRS"),
        ({"bounds_crs": "EPSG:4326"}, "belongs to --bounds"),
        ({"bounds": (0, 5, 1, 6), "aoi": "a.gpkg"}, "both name an area"),
    ):
        with pytest.raises(ConfigError, match=text):
            select(**options)
