"""Maps of an area of interest: inside, the bytes of the map of the whole raster; outside, no data and no work."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.windows import Window

from rsseg.commands import make_parser
from rsseg.errors import JobError
from rsseg.io.rasters import Raster
from rsseg.mapping import MapOptions, Products, command, map_raster
from rsseg.mapping.area import Area
from rsseg.mapping.grid import BLENDS
from rsseg.mapping.masking import OutsideAreaError
from rsseg.mapping.options import add_arguments
from rsseg.mapping.results import Reference
from rsseg.mapping.selecting import selected_area
from rsseg.mapping.sharing import Part
from rsseg.metainfo import ClassTable
from rsseg.reports.maps.files import open_map
from rsseg.reports.maps.overlay import write_overlay
from rsseg.reports.maps.page import report_map
from rsseg.reports.maps.pictures import image_pixels
from tests.mapping.conftest import UTM, Stub

SIZE = (150, 190)
TRIANGLES = [shapely.Polygon([(30, 40), (88, 52), (47, 92.6)]), shapely.box(120.2, 20.4, 139.7, 25.6)]
"""In pixels; they lie in columns 30..139 and rows 20..92."""


def area_of(shapes: list[Any], name: str = "fields.gpkg") -> Area:
    x, y = UTM.c, UTM.f
    moved = [shapely.transform(shape, lambda points: points * (0.5, -0.5) + (x, y)) for shape in shapes]
    return Area.of(name, moved, CRS.from_epsg(32633))


def read(path: Path, band: int = 1) -> np.ndarray:
    with rasterio.open(path) as file:
        return np.asarray(file.read(band))


class Counting(Stub):
    """Also knows how many windows it saw."""

    @property
    def windows(self) -> int:
        return sum(self.batches)


@pytest.fixture
def source(noise: Callable[..., np.ndarray], write_raster: Callable[..., Path]) -> str:
    pixels = noise(3, *SIZE)
    pixels[:, 60:70, 40:60] = 0
    return str(write_raster(pixels, nodata=0))


def inside(shapes: list[Any]) -> np.ndarray:
    columns, rows = np.meshgrid(np.arange(SIZE[1]) + 0.5, np.arange(SIZE[0]) + 0.5)
    return np.asarray(shapely.contains_xy(shapely.union_all(shapes), columns, rows))


@pytest.mark.parametrize("window", [(32, 48), (500, 500)])
@pytest.mark.parametrize("blend", list(BLENDS))
def test_inside_are_the_bytes_of_the_whole_map(
    blend: str, window: tuple[int, int], source: str, table: ClassTable, tmp_path: Path
) -> None:
    whole, part = Counting(), Counting()
    options: dict[str, Any] = dict(window=window, blend=blend, overlap=0.4, probabilities="all")
    assert map_raster(source, tmp_path / "whole.tif", whole, table, MapOptions(**options), {})
    assert map_raster(source, tmp_path / "part.tif", part, table, MapOptions(**options, area=area_of(TRIANGLES)), {})
    expected = np.where(inside(TRIANGLES), read(tmp_path / "whole.tif"), 255)[20:93, 30:140]
    found = read(tmp_path / "part.tif")
    assert found.shape == (73, 110) and (found == expected).all()
    assert 255 not in np.unique(found[1:5, 91:109]) and (found[40:50, 10:30] == 255).any()
    for band in (1, 2, 3):
        shares = np.where(inside(TRIANGLES), read(tmp_path / "whole_probabilities.tif", band), 255)[20:93, 30:140]
        assert (read(tmp_path / "part_probabilities.tif", band) == shares).all()
    assert 0 < part.windows < 0.6 * whole.windows or whole.windows == 1
    with rasterio.open(tmp_path / "part.tif") as file:  # on the raster's pixels
        assert file.transform == rasterio.windows.transform(Window(30, 20, 110, 73), UTM)
        assert '"window": [30, 20, 140, 93]' in file.tags()["RSSEG_AREA"] and "fields.gpkg" in file.tags()["RSSEG_AREA"]


def test_windows_beside_the_area_are_neither_read_nor_computed(
    source: str, table: ClassTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_windows: list[tuple[int, ...]] = []
    original = Raster.read

    def reading(self: Raster, *box: Any) -> Any:
        read_windows.append(box)
        return original(self, *box)

    monkeypatch.setattr(Raster, "read", reading)
    stub, box = Counting(), shapely.box(100, 100, 110, 110)
    map_raster(source, tmp_path / "m.tif", stub, table, MapOptions(window=(20, 20), overlap=0, area=area_of([box])), {})
    assert read_windows == [(100, 100, 120, 120)] and stub.windows == 1  # one of 80
    assert read(tmp_path / "m.tif").shape == (10, 10)


def test_polygons_and_areas_are_those_inside(source: str, table: ClassTable, tmp_path: Path) -> None:
    products = Products("gpkg")
    area = area_of(TRIANGLES)
    map_raster(source, tmp_path / "m.tif", Stub(), table, MapOptions(window=(32, 48), area=area), {}, products=products)
    rows = [line.split(",") for line in (tmp_path / "m_areas.csv").read_text().splitlines()[1:]]
    mapped = int((read(tmp_path / "m.tif") != 255).sum())
    assert sum(int(row[1]) for row in rows) == mapped and mapped < inside(TRIANGLES).sum()  # the hole of no data
    _, _, shapes, _ = pyogrio.raw.read(tmp_path / "m.gpkg", layer="classes")
    union = shapely.union_all(shapely.from_wkb(shapes))
    assert union.area == pytest.approx(mapped * 0.25)
    assert union.difference(area.geometry.buffer(0.36)).is_empty  # half a pixel's diagonal
    report_map(tmp_path / "m.tif", tmp_path / "m.html")
    page = (tmp_path / "m.html").read_text()
    assert "fields.gpkg: columns 30 to 140 and rows 20 to 93 of the image" in page and "source.tif" in page
    assert "or outside of the area" in page and "no image is shown" not in page


def test_a_changed_area_is_noticed_and_half_a_map_goes_on(source: str, table: ClassTable, tmp_path: Path) -> None:
    class Failing(Stub):
        def __call__(self, batch: Any) -> Any:
            if len(self.batches) == 12:
                raise KeyboardInterrupt
            return super().__call__(batch)

    options = dict(window=(32, 48), overlap=0.4)
    one, other = area_of(TRIANGLES), area_of(TRIANGLES[:1])
    with pytest.raises(KeyboardInterrupt):
        map_raster(source, tmp_path / "m.tif", Failing(), table, MapOptions(**options, area=one), {})
    assert list((tmp_path / ".m.tif.parts").glob("*.strip"))
    with pytest.raises(JobError, match="was started with another area"):
        map_raster(source, tmp_path / "m.tif", Stub(), table, MapOptions(**options, area=other), {})
    again = Counting()
    map_raster(source, tmp_path / "m.tif", again, table, MapOptions(**options, area=one), {})
    map_raster(source, tmp_path / "n.tif", fresh := Counting(), table, MapOptions(**options, area=one), {})
    assert (tmp_path / "m.tif").read_bytes() == (tmp_path / "n.tif").read_bytes() and again.windows < fresh.windows
    for area in (other, None):
        with pytest.raises(JobError, match="area"):
            map_raster(source, tmp_path / "m.tif", Stub(), table, MapOptions(**options, area=area), {})
    map_raster(source, tmp_path / "m.tif", Stub(), table, MapOptions(**options, area=other, overwrite=True), {})
    assert read(tmp_path / "m.tif").shape == (53, 58)


def test_another_pixel_size_and_an_area_beside(source: str, table: ClassTable, tmp_path: Path) -> None:
    options = dict(window=(16, 16), gsd=1.0)
    box, beside = (area_of([shapely.box(*corners)]) for corners in ((20, 30, 60, 70), (900, 0, 990, 70)))
    map_raster(source, tmp_path / "whole.tif", Stub(), table, MapOptions(**options), {})
    map_raster(
        source,
        tmp_path / "part.tif",
        Stub(),
        table,
        MapOptions(**options, area=box),
        {},
    )
    assert (read(tmp_path / "part.tif") == read(tmp_path / "whole.tif")[15:35, 10:30]).all()
    with pytest.raises(OutsideAreaError, match=r"has no pixel in fields.gpkg; the area lies at \(15.00"):
        map_raster(source, tmp_path / "x.tif", Stub(), table, MapOptions(area=beside), {})


def test_rasters_of_a_folder_that_miss_the_area_are_counted(
    noise: Callable[..., np.ndarray], write_raster: Callable[..., Path], table: ClassTable, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    (tmp_path / "in").mkdir()
    for number in range(3):
        write_raster(noise(3, 40, 40), f"in/{number}.tif", transform=UTM * rasterio.Affine.translation(100 * number, 0))
    polygon = area_of([shapely.box(110, 10, 250, 20)]).geometry
    pyogrio.raw.write(tmp_path / "a.gpkg", shapely.to_wkb(np.array([polygon])), [], [], crs="EPSG:32633",
                      geometry_type="MultiPolygon")  # fmt: skip

    def part_of(args: argparse.Namespace, setting: Any, job: Any, part: Any, report: Any) -> bool:
        return map_raster(*job, Stub(), table, MapOptions(window=(32, 32), area=selected_area(args)), {}, part)

    monkeypatch.setattr(command, "prepare", lambda args, load: None)
    monkeypatch.setattr(command, "map_part", part_of)
    caplog.set_level(logging.INFO, "rsseg")
    words = [str(tmp_path / "in"), str(tmp_path / "out"), "--config", "c.py"]
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    made = []
    command.run(parser.parse_args([*words, "--aoi", str(tmp_path / "a.gpkg")]), None, lambda s, t: made.append(t.name))
    assert made == ["1.tif", "2.tif"] and not (tmp_path / "out" / "0.tif").exists()
    assert "1 of 3 rasters have no pixel in the area and were left out" in caplog.text
    with pytest.raises(OutsideAreaError, match="--bounds 1,2,3,4"):
        command.run(parser.parse_args([*words, "--bounds", "1,2,3,4"]))
    monkeypatch.setattr(command, "prepare", None)  # a single raster is looked at before the model is loaded
    with pytest.raises(OutsideAreaError, match="the raster at"):
        command.run(parser.parse_args([str(tmp_path / "in" / "0.tif"), *words[1:], "--bounds", "1,2,3,4"]))


def test_parts_of_an_area_are_computed_apart(source: str, table: ClassTable, tmp_path: Path) -> None:
    options = MapOptions(window=(32, 48), area=area_of(TRIANGLES))
    map_raster(source, tmp_path / "one.tif", one := Counting(), table, options, {})
    parts = [Part(Fraction(number, 3), Fraction(number + 1, 3)) for number in (2, 0, 1)]
    done = [map_raster(source, tmp_path / "m.tif", Counting(), table, options, {}, part) for part in parts]
    assert done == [False, False, True] and one.windows
    assert (tmp_path / "m.tif").read_bytes() == (tmp_path / "one.tif").read_bytes()


def test_negative_bounds_are_no_options() -> None:
    parser = make_parser("maps")
    add_arguments(parser)
    args = parser.parse_args(["a.tif", "b.tif", "--bounds", "-5.5,-1,-4,2"])
    assert args.bounds == (-5.5, -1, -4, 2)


def test_a_raster_that_is_bent_by_its_points(
    noise: Callable[..., np.ndarray], table: ClassTable, tmp_path: Path
) -> None:
    pixels = noise(3, 80, 100)
    pixels[:, :40, :50] = np.array([200, 100, 50], np.uint8)[:, None, None]
    corners = [(0, 0), (0, 100), (80, 0), (80, 100), (40, 50)]
    points = [GroundControlPoint(r, c, 500000 + 10 * c + 0.02 * r * c, 4000000 - 10 * r) for r, c in corners]
    bent, labels = tmp_path / "bent.tif", tmp_path / "labels.png"
    with rasterio.open(bent, "w", driver="GTiff", count=3, height=80, width=100, dtype="uint8") as file:
        file.write(pixels)
        file.gcps = points, CRS.from_epsg(32633)
    with rasterio.open(labels, "w", driver="PNG", count=1, height=80, width=100, dtype="uint8") as file:
        file.write(pixels.argmax(axis=0).astype(np.uint8), 1)
    area = Area.of("box", [shapely.box(500205, 3999655, 500395, 3999845)], CRS.from_epsg(32633))
    target = tmp_path / "m.tif"
    map_raster(
        str(bent), target, Stub(), table, MapOptions(window=(32, 32), area=area), {},
        products=Products(reference=Reference(str(labels))),
    )  # fmt: skip
    mapped = read(target)
    assert np.abs(np.subtract(mapped.shape, 19)).max() <= 1 and set(np.unique(mapped)) <= {0, 255}
    assert "OA,,,100.00" in (tmp_path / "m_accuracy.csv").read_text()
    write_overlay(target, str(bent), tmp_path / "m.png")
    files = open_map(target)
    values, valid, _ = image_pixels(files, str(bent), None)
    assert valid.all() and (values == np.array([200, 100, 50])[:, None, None]).all()
