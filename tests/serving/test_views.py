"""Where rasters lie on the page's map, and which pixels a view shows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from rsseg.errors import DataError
from rsseg.io.bands import PixelSpec
from rsseg.io.georeference import GeoReference
from rsseg.serving.places import EDGE, LATITUDE, MERCATOR, Place
from rsseg.serving.views import View, overview_level, read_view
from tests.serving.world import UTM, tile_transform, write_image, write_map


def _rgb(height: int, width: int) -> np.ndarray:
    """Columns in red, rows in green."""
    out = np.zeros((3, height, width), np.uint8)
    out[0], out[1] = np.arange(width), np.arange(height)[:, None]
    return out


def test_a_view_of_an_aligned_raster_is_its_pixels(tmp_path: Path) -> None:
    pixels = _rgb(200, 250)
    transform = tile_transform(2200, 1400, 12, 256)
    path = write_image(tmp_path / "a.tif", pixels, crs="EPSG:3857", transform=transform)
    west, south, east, north = Place.of(path).bounds
    seen, valid = read_view(path, View(west, south, east, north, 250, 200))
    assert seen.dtype == np.uint8 and valid.all()
    assert np.array_equal(seen, pixels.transpose(1, 2, 0))
    side = (east - west) / 250
    seen, valid = read_view(path, View(west - 10 * side, south, east - 10 * side, north, 250, 200))
    assert np.array_equal(seen[:, 10:], pixels.transpose(1, 2, 0)[:, :-10])
    assert not valid[:, :10].any() and valid[:, 10:].all()


def test_a_picture_lies_at_zero_with_a_metre_for_a_pixel(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.png", _rgb(40, 60), driver="PNG", crs=None, transform=None)
    place = Place.of(path)
    degree = 180 / EDGE
    assert not place.own
    assert place.bounds == pytest.approx((0, -40 * degree, 60 * degree, 0), abs=1e-12)
    seen, valid = read_view(path, View(0, -40 * degree, 60 * degree, 0, 60, 40))
    assert np.array_equal(seen, _rgb(40, 60).transpose(1, 2, 0)) and valid.all()
    box = np.array([shapely.box(10, 5, 20, 15)])
    back = place.from_degrees(place.to_degrees(box))
    assert shapely.equals_exact(back, box, tolerance=1e-6).all()
    assert place.to_degrees(box)[0].bounds == pytest.approx([10 * degree, -15 * degree, 20 * degree, -5 * degree])


def test_polygons_go_to_the_rasters_crs_and_pixels(tmp_path: Path) -> None:
    place = Place.of(write_image(tmp_path / "a.tif", _rgb(40, 60)))
    pixels = np.array([shapely.box(10, 5, 20, 15)])
    degrees = place.pixels_to_degrees(pixels)
    (own,) = place.from_degrees(degrees)
    assert own.bounds == pytest.approx((500005, 4000000 - 7.5, 500010, 4000000 - 2.5), abs=1e-5)
    assert shapely.equals_exact(place.degrees_to_pixels(degrees), pixels, tolerance=1e-4).all()
    assert shapely.equals_exact(place.to_degrees(np.array([own])), degrees, tolerance=1e-9).all()
    west, south, _, north = place.bounds
    assert west == pytest.approx(15, abs=1e-9), "500 km east is the middle of zone 33"
    assert 36.1 < south < north < 36.2 and place.pixels_at(west, north) == pytest.approx((0, 0), abs=0.1)


BENT = [GroundControlPoint(r, c, 15 + c / 1e4 + r * c / 1e7, 36 - r / 1e4) for r in (0, 20, 40) for c in (0, 30, 60)]


@pytest.mark.parametrize(
    "profile",
    [dict(crs=None), dict(crs="EPSG:32633", transform=Affine.identity()),
     dict(transform=None, crs="EPSG:4326", gcps=BENT), dict(crs='LOCAL_CS["engine",UNIT["metre",1]]')],
    ids=["no CRS", "no transform", "bent", "no place on Earth"],
)  # fmt: skip
def test_what_has_no_place_is_shown_in_pixels(tmp_path: Path, profile: dict[str, Any]) -> None:
    path = write_image(tmp_path / "a.tif", _rgb(40, 60), **profile)
    degree = 180 / EDGE
    assert not Place.of(path).own
    assert np.array_equal(
        read_view(path, View(0, -40 * degree, 60 * degree, 0, 60, 40))[0], _rgb(40, 60).transpose(1, 2, 0)
    )


def test_turned_rasters_and_control_points_that_fit_have_their_place(tmp_path: Path) -> None:
    turned = Affine(0, 1, 1000, 1, 0, 2000)  # columns go north, rows east
    path = write_image(tmp_path / "a.tif", _rgb(40, 60), crs="EPSG:3857", transform=turned)
    degree = 180 / EDGE
    west, south, east, north = Place.of(path).bounds
    assert (west, east) == pytest.approx((1000 * degree, 1040 * degree))
    seen, valid = read_view(path, View(west, south, east, north, 40, 60))
    assert valid.all() and np.array_equal(seen[..., 0], np.arange(60)[::-1, None].repeat(40, 1))
    points = [GroundControlPoint(r, c, 15 + c / 1e4, 36 - r / 1e4) for r, c in ((0, 0), (0, 60), (40, 0))]
    path = write_image(tmp_path / "b.tif", _rgb(40, 60), crs="EPSG:4326", transform=None, gcps=points)
    place = Place.of(path)
    assert place.own and place.bounds == pytest.approx((15, 35.996, 15.006, 36))


def test_around_a_pole_lie_all_longitudes(tmp_path: Path) -> None:
    """In polar stereographic coordinates, true at 71°; the farthest corner is 3905 km from the pole: 34.9°."""
    for crs, south, north in (("EPSG:3995", 55.1, LATITUDE), ("EPSG:3031", -LATITUDE, -55.1)):
        pixels = np.full((3, 40, 60), 50, np.uint8)
        path = write_image(tmp_path / "a.tif", pixels, crs=crs, transform=Affine(1e5, 0, -3e6, 0, -1e5, 1.5e6))
        west, low, east, high = Place.of(path).bounds
        assert (west, east) == (-180, 180)
        assert (low, high) == pytest.approx((south, north), abs=0.1)


def test_both_sides_of_the_antimeridian(tmp_path: Path) -> None:
    """A raster in UTM zone 1 whose middle column lies at 180°: 166022 m east of the false origin, at the equator."""
    edge = 166021.443
    path = write_image(tmp_path / "a.tif", _rgb(40, 60), crs="EPSG:32601",
                       transform=Affine(10, 0, edge - 300, 0, -10, 200))  # fmt: skip
    west, south, east, north = Place.of(path).bounds
    assert west < 180 < east and west == pytest.approx(180 - 300 / 111320, abs=1e-4)
    assert (west + east) / 2 == pytest.approx(180, abs=1e-5)
    left, _ = read_view(path, View(west, south, 180, north, 30, 40))
    right, _ = read_view(path, View(-180, south, east - 360, north, 30, 40))
    both, valid = read_view(path, View(west, south, east - 360, north, 60, 40))
    assert np.array_equal(both, np.hstack([left, right])) and valid.mean() > 0.97
    assert abs(both[20, 1:-1, 0].astype(int) - np.arange(1, 59)).max() <= 1


def test_views_that_are_not_allowed() -> None:
    for numbers in (
        (math.nan, 0, 1, 1), (0, 0, math.inf, 1), (1e308, 0, 1, 1), (0, 1, 1, 0), (0, 0, 0, 1), (0, -90, 1, 90),
        (-600, 0, 1, 1), (0, 0, 721, 1),
    ):  # fmt: skip
        with pytest.raises(DataError, match="view: "):
            View(numbers[0], numbers[1], numbers[2], numbers[3], 10, 10)
    for size in ((0, 1), (1, -1), (1 << 20, 1)):
        with pytest.raises(DataError, match="pixels"):
            View(0, 0, 1, 1, width=size[0], height=size[1])
    assert View(170, -LATITUDE, -170, LATITUDE, 1, 1).east == 190


def test_the_overview_that_fits_is_read(tmp_path: Path) -> None:
    """Full resolution is black where the overview is white, so what is seen tells what was read."""
    side = 1024
    transform = tile_transform(2200, 1400, 12, side)
    path = write_image(tmp_path / "a.tif", np.zeros((3, side, side), np.uint8), crs="EPSG:3857", transform=transform,
                       tiled=True)  # fmt: skip
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4, 8])
    for level in range(3):
        with rasterio.open(path, "r+", overview_level=level) as file:
            file.write(np.full((3, *file.shape), 50 * (level + 1), np.uint8))
    bounds = Place.of(path).bounds
    for width, value in ((1024, 0), (600, 0), (512, 50), (300, 50), (256, 100), (128, 150), (10, 150)):
        seen, _ = read_view(path, View(*bounds, width, width))
        assert (seen == value).all(), width
    place, grid = Place.of(path), View(*bounds, 1024, 1024).grid
    assert overview_level([], place, grid) is None and overview_level([1], place, grid) == 0
    world = View(-180, -LATITUDE, 180, LATITUDE, 256, 256)
    assert overview_level([2, 4, 8], place, world.grid) == 2


def test_values_and_bands_are_declared_as_for_maps(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.tif", np.arange(4 * 64, dtype=np.uint16).reshape(4, 8, 8), nodata=0)
    view = View(*Place.of(path).bounds, 8, 8)
    with pytest.raises(DataError, match="--bands 3,2,1"):
        read_view(path, view)
    with pytest.raises(DataError, match="--range"):
        read_view(path, view, PixelSpec((4, 3, 2, 1)))
    seen, _ = read_view(path, view, PixelSpec((4, 3), (0, 255)))
    assert seen.shape == (8, 8, 2) and seen.dtype == np.float32 and (seen[..., 0] - seen[..., 1] > 60)[2:-2, 2:-2].all()
    grey = write_map(tmp_path / "grey.tif", np.zeros((8, 8)))
    with pytest.raises(DataError, match="palette"):
        read_view(grey, view)
    assert UTM.a == 0.5


def test_a_box_in_pixels_of_a_raster_that_lies_askew() -> None:
    askew = Place.of(GeoReference((50, 50), MERCATOR, Affine.rotation(45) * Affine.scale(1, -1)))
    half = 20 / 2**0.5 / EDGE * 180  # of the diagonal of 20 x 20 pixels of a metre, from its corner at 10, 10
    assert askew.box_to_degrees((10, 10, 30, 30)) == pytest.approx((half, -half, 3 * half, half), rel=1e-6)
    across = GeoReference((64, 64), CRS.from_epsg(32601), Affine(10, 0, 166021.443 - 320, 0, -10, 320))
    west, _, east, _ = Place.of(across).box_to_degrees((22, 0, 42, 20))  # columns 22 to 42 of 10 m, 180 degrees at 32
    assert east - west == pytest.approx(200 / 111_320, rel=1e-2)
