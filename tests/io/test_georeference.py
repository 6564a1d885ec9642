"""Where rasters lie and what their pixels measure, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC

from rsseg.errors import DataError
from rsseg.io.areas import measure_class_areas
from rsseg.io.georeference import GeoReference

UTM = CRS.from_epsg(32633)
SITE = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')
NORTH_UP = Affine(1, 0, 500000, 0, -1, 4000000)


def grid(crs, transform, size=(2, 2)):
    return GeoReference(size, crs if crs is None or isinstance(crs, CRS) else CRS.from_epsg(crs), transform)


@pytest.fixture
def write(tmp_path):
    def make(pixels, name="x.tif", **profile):
        height, width = pixels.shape
        with rasterio.open(tmp_path / name, "w", driver="GTiff", count=1, height=height, width=width,
                           dtype=pixels.dtype, **profile) as file:  # fmt: skip
            file.write(pixels, 1)
        return tmp_path / name

    return make


RPCS = RPC(
    height_off=0, height_scale=500, lat_off=40, lat_scale=0.1, long_off=15, long_scale=0.1,
    line_off=10, line_scale=10, samp_off=15, samp_scale=15,
    line_num_coeff=[0, 0, -1] + [0] * 17, line_den_coeff=[1] + [0] * 19,
    samp_num_coeff=[0, 1] + [0] * 18, samp_den_coeff=[1] + [0] * 19,
)  # fmt: skip


def points(scale=1.0, bend=0.0, size=(20, 30)):
    """Control points at the corners and in the middle of a raster of half-metre pixels; the middle may be off."""
    height, width = size
    corners = [(0, 0), (0, width), (height, 0), (height, width)]
    out = [GroundControlPoint(r, c, 500000 + c * scale, 4000000 - r * scale) for r, c in corners]
    return [*out, GroundControlPoint(height / 2, width / 2, 500000 + width / 2 * scale + bend, 4000000 - height / 2)]


# what pixels measure ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "crs, transform, size, area",
    [
        (32633, Affine(0.5, 0, 500000, 0, -0.5, 4000000), (0.5, 0.5), 0.25),
        (32633, Affine(0.5, 0, 500000, 0, 0.5, 4000000), (0.5, 0.5), 0.25),  # south up
        (32633, Affine(0.4, 0.3, 500000, 0.3, -0.4, 4000000), (0.5, 0.5), 0.25),  # rotated
        (32633, Affine(2, 1, 500000, 0, -1, 4000000), (2, 2**0.5), 2),  # sheared
        (2263, Affine(10, 0, 980000, 0, -10, 200000), (3.048006096, 3.048006096), 9.29034116),  # US survey feet
        (SITE, Affine(2, 0, 0, 0, -3, 0), (2, 3), 6),
        (4978, Affine(2, 0, 0, 0, -3, 0), (2, 3), 6),  # geocentric: no place on a map
        (32633, Affine(2, 0, 1e9, 0, -3, 1e9), (2, 3), 6),  # nowhere on Earth
        # one degree is 111319.49 m along the equator and 110574.28 m across it
        (4326, Affine(1e-5, 0, 10, 0, -1e-5, 1e-5), (1.11319491, 1.10574276), 1.11319491 * 1.10574276),
        # Web Mercator at 60 degrees north is twice as large, on the ellipsoid 1/1.9950 and 1/1.9983
        (3857, Affine(10, 0, 1e6, 0, -10, 8399737.89), (5.0126, 5.0042), 25.084),
        # EASE-Grid at 55 degrees: areas are right, lengths are not
        (6933, Affine(10, 0, 1e6, 0, -10, 6e6), (6.64481, 15.0493), 100),
    ],
)
def test_pixels_measure_what_they_are_on_the_ground(crs, transform, size, area):
    found = grid(crs, transform)
    np.testing.assert_allclose(found.pixel_size, size, rtol=2e-5)
    np.testing.assert_allclose(found.row_areas, [area] * 2, rtol=2e-5)
    if crs == 3857:  # the area is that of the same two lengths
        assert np.prod(found.pixel_size) == pytest.approx(area, rel=1e-5) and "ellipsoid" in found.area_method


def test_all_pixels_of_the_earth_are_its_surface():
    found = grid(4326, Affine(0.1, 0, -180, 0, -0.1, 90), (1800, 3600))
    assert found.row_areas.sum() * 3600 == pytest.approx(510_065_621.7e6, rel=1e-6)  # km2 of the WGS 84 ellipsoid
    assert found.area_method == "on the WGS 84 ellipsoid"


def test_grads_are_no_degrees():
    # NTF (Paris) in grads, 50 grads are 45 degrees: radii 6367382 m and 6388838 m there
    step = 1e-5 * np.pi / 200
    found = grid(4807, Affine(1e-5, 0, 2, 0, -1e-5, 50), (1, 1)).row_areas
    assert found[0] == pytest.approx(6367382 * step * 6388838 * np.cos(np.pi / 4) * step, rel=1e-5)


@pytest.mark.parametrize(
    "found, why",
    [
        (grid(None, Affine.identity()), "no CRS"),
        (grid(None, NORTH_UP), "no CRS"),
        (grid(32633, Affine.identity()), "a CRS but no transform"),
        (GeoReference((2, 2), rpcs=RPCS), r"coefficients \(RPC\) only"),
    ],
)
def test_pixels_without_a_size_say_why(found, why):
    assert found.row_areas is None and found.area_method.endswith(": pixels only")
    with pytest.raises(DataError, match=f"{why}.*so its pixels have no size in metres"):
        found.resampled(1.0)


def test_areas_of_classes_are_counted_row_by_row(write):
    labels = np.repeat(np.array([[0, 1], [0, 2], [255, 2]], np.uint8), 300, axis=0)  # more rows than are read at once
    path = write(labels, crs="EPSG:4326", transform=Affine(0.1, 0, 10, 0, -0.1, 85))
    found, rows = measure_class_areas(path, 3), GeoReference.of(path).row_areas
    assert found.pixels.tolist() == [600, 300, 600] and found.unmapped == 300
    np.testing.assert_allclose(found.metres, [rows[:600].sum(), rows[:300].sum(), rows[300:].sum()])


# control points and polynomials -------------------------------------------------------------------------------------


def test_control_points_that_fit_a_transform_are_as_good_as_one(write):
    found = GeoReference.of(write(np.zeros((20, 30), np.uint8), crs=UTM, gcps=points(1.0)))
    assert (
        found.crs == UTM and np.allclose(found.affine[:6], NORTH_UP[:6]) and found.pixel_size == pytest.approx((1, 1))
    )
    assert found.area_method == "in the plane of the projected CRS, by ground control points"
    assert [(p.row, p.col, p.x, p.y) for p in found.profile["gcps"]] == [(p.row, p.col, p.x, p.y) for p in points(1.0)]
    np.testing.assert_allclose(found.resampled(2.0).transform[:6], (2, 0, 500000, 0, -2, 4000000), atol=1e-9)


def test_control_points_that_fit_none_are_followed(write):
    # x is column + column ** 2 / 100, so the columns 0, 10, 20 lie at 0, 11, 24
    bent = [GroundControlPoint(r, c, 500000 + c + c * c / 100, 4000000 - r) for r in (0, 9, 20) for c in (0, 10, 20)]
    found = GeoReference.of(write(np.zeros((20, 20), np.uint8), crs=UTM, gcps=bent))
    with pytest.raises(DataError, match=r"bent by its ground control points.*gdalwarp"):
        found.resampled(1.0)
    x, y = found.coordinates([0, 5, 20], [0, 10, 20])
    np.testing.assert_allclose(x, [500000, 500005.25, 500024], atol=1e-3)
    np.testing.assert_allclose(y, [4000000, 3999990, 3999980], atol=1e-3)
    assert found.affine is None and found.pixel_size == pytest.approx((1.2, 1), abs=1e-3)  # 1 + 2 x 10 / 100
    line = [GroundControlPoint(r, 5, 500000, 4000000 - r) for r in range(0, 20, 2)]
    lost = GeoReference((20, 20), UTM, gcps=tuple(line))
    assert lost.row_areas is None and lost.area_method == "ground control points that give no position: pixels only"
    with pytest.raises(DataError, match="has 10 ground control points that give no position"):
        lost.coordinates(0, 0)


GCPS = "".join(
    f'<GCP Id="{i}" Pixel="{c}" Line="{r}" X="{15 + c / 100}" Y="{40 - r / 100}"/>'
    for i, (c, r) in enumerate([(0, 0), (30, 0), (0, 20)])
)


@pytest.mark.parametrize("transform", ["", "<GeoTransform>500000,1,0,4000000,0,-1</GeoTransform>"])
def test_a_file_may_have_control_points_and_a_crs_of_its_own(transform, write, tmp_path):
    write(np.zeros((20, 30), np.uint8), "x.tif")
    source = '<SourceFilename relativeToVRT="1">x.tif</SourceFilename><SourceBand>1</SourceBand>'
    (tmp_path / "own.vrt").write_text(
        '<VRTDataset rasterXSize="30" rasterYSize="20">'
        f'<SRS>EPSG:32633</SRS>{transform}<GCPList Projection="EPSG:4326">'
        f'{GCPS}</GCPList><VRTRasterBand dataType="Byte" band="1"><SimpleSource>{source}</SimpleSource></VRTRasterBand>'
        "</VRTDataset>"
    )
    found = GeoReference.of(tmp_path / "own.vrt")
    if transform:  # it is what GDAL goes by
        assert found.profile == {"crs": UTM, "transform": NORTH_UP}
    else:
        assert found.crs.to_epsg() == 4326 and len(found.gcps) == 3
        np.testing.assert_allclose(found.coordinates(10, 10), [[15.1], [39.9]])


def test_polynomials_are_kept_and_measure_nothing(write):
    found = GeoReference.of(write(np.zeros((20, 30), np.uint8), rpcs=RPCS))
    assert not found.is_empty and not found.has_coordinates and found.rpcs.line_off == 10
    other = GeoReference((10, 15), UTM, NORTH_UP)
    with pytest.raises(DataError, match=r"has 10 x 15 pixels, the map 20 x 30, and the map lies by .* orthorectify"):
        found.check_related(other)
    assert found.same_pixels(GeoReference((20, 30)))
    both = GeoReference.of(write(np.zeros((20, 30), np.uint8), "both.tif", rpcs=RPCS, crs=UTM, transform=NORTH_UP))
    assert both.pixel_size == (1, 1) and both.profile.keys() == {"crs", "transform", "rpcs"}
    half, part = both.resampled(2).rpcs, both.window(4, 6, 10, 10).rpcs  # centres of pixels are whole numbers
    assert (half.line_off, half.samp_off, half.line_scale, half.samp_scale) == (4.75, 7.25, 5, 7.5)
    assert (part.line_off, part.samp_off, part.line_scale, part.samp_scale) == (4, 11, 10, 15)
    assert found.window(4, 6, 10, 10).rpcs == part and found.scaled((10, 15)).rpcs == half


def test_polynomials_that_miss_a_number_are_not_used(write, tmp_path, caplog):
    write(np.zeros((20, 30), np.uint8), "x.tif")
    source = '<SourceFilename relativeToVRT="1">x.tif</SourceFilename><SourceBand>1</SourceBand>'
    (tmp_path / "bad.vrt").write_text(
        '<VRTDataset rasterXSize="30" rasterYSize="20"><Metadata domain="RPC"><MDI key="LINE_OFF">1</MDI></Metadata>'
        f'<VRTRasterBand dataType="Byte" band="1"><SimpleSource>{source}</SimpleSource></VRTRasterBand></VRTDataset>'
    )
    assert GeoReference.of(tmp_path / "bad.vrt").is_empty
    assert "bad.vrt: its rational polynomial coefficients (RPC) are incomplete and not used" in caplog.text


# other grids --------------------------------------------------------------------------------------------------------


def test_other_grids_of_the_same_ground():
    whole = grid(32633, Affine(0.5, 0, 500000, 0, -0.5, 4000000), (11, 20))
    assert whole.resampled(1.0) == grid(32633, Affine(1, 0, 500000, 0, -1, 4000000), (6, 10))  # rounded up
    overview = whole.scaled((6, 10))
    assert overview.transform == Affine(1, 0, 500000, 0, -0.5 * 11 / 6, 4000000)
    assert whole.window(4, 2, 3, 5) == grid(32633, Affine(0.5, 0, 500002, 0, -0.5, 3999999), (5, 3))
    x, y = whole.pixels_in(grid(32633, Affine(0.25, 0, 500001, 0, 0.25, 3999990)), [2, 4], [0, 4])
    np.testing.assert_allclose([x, y], [[0, 4], [40, 32]])
    degrees = grid(4326, Affine(1, 0, 15, 0, -1, 40))  # the middle of zone 33
    np.testing.assert_allclose(degrees.pixels_in(whole, [0], [0])[0], [0], atol=1e-6)


@pytest.mark.parametrize(
    "transform, same",
    [
        (NORTH_UP, True),
        (NORTH_UP @ Affine.translation(0.001, 0), True),
        (NORTH_UP @ Affine.translation(0.5, 0), False),
        (NORTH_UP @ Affine.scale(1.001), False),
        (Affine(1, 0, 500000, 0, 1, 3999980), False),
        (Affine.identity(), True),  # says nothing
    ],
)
def test_the_same_pixels(transform, same):
    size = (20, 30)
    crs = None if transform == Affine.identity() else 32633
    assert grid(32633, NORTH_UP, size).same_pixels(grid(crs, transform, size)) is same
    assert grid(crs, transform, size).same_pixels(grid(32633, NORTH_UP, size)) is same
    assert not grid(32633, NORTH_UP, size).same_pixels(grid(32634, transform, size))
    assert not grid(32633, NORTH_UP, size).same_pixels(grid(32633, NORTH_UP, (20, 31)))


def test_views_take_the_nearest_pixel_whatever_the_grids(write):
    """Every kind against the same in plain numbers: for each pixel of the view the one its centre lies in."""
    pixels = np.arange(600).reshape(20, 30).astype(np.uint16)
    rotated = NORTH_UP @ Affine.rotation(30) @ Affine.scale(0.5)
    south_up = Affine(1, 0, 500000, 0, 1, 3999980)
    fitting = dict(crs=UTM, gcps=points(1.0))
    views = [Affine(0.25, 0, 500003, 0, -0.25, 3999990), rotated, south_up, Affine(3, 0, 499990, 0, -3, 4000000)]
    for number, profile in enumerate([fitting, *(dict(crs=UTM, transform=t) for t in (NORTH_UP, rotated, south_up))]):
        path = write(pixels, f"{number}.tif", **profile)
        own = GeoReference.of(path)
        for transform in views:
            view_grid = grid(32633, transform, (17, 23))
            with rasterio.open(path) as file, view_grid.view(file, add_alpha=True, tolerance=1e-3) as view:
                found, alpha = view.read()
            rows, columns = np.mgrid[:17, :23] + 0.5
            x, y = (np.floor(v + 1e-9).astype(int) for v in view_grid.pixels_in(own, columns.ravel(), rows.ravel()))
            inside = (x >= 0) & (x < 30) & (y >= 0) & (y < 20)
            np.testing.assert_array_equal(alpha.ravel() > 0, inside)
            np.testing.assert_array_equal(found.ravel()[inside], pixels[y[inside], x[inside]])


@pytest.mark.parametrize(
    "one, other, message",
    [
        (grid(32633, NORTH_UP), grid(None, NORTH_UP, (3, 4)), r"has 3 x 4 pixels, the map 2 x 2, and no CRS relates"),
        (grid(32633, NORTH_UP), grid(32633, Affine.identity(), (3, 4)), "no CRS relates"),
        (grid(32633, NORTH_UP), GeoReference((3, 4), rpcs=RPCS), r"it lies by rational polynomial .*gdalwarp -rpc"),
        (grid(32633, NORTH_UP), GeoReference((3, 4), UTM, gcps=tuple(points(1.0, 5.0))), "it is bent by its ground"),
    ],
)
def test_what_nothing_relates_is_refused(one, other, message):
    with pytest.raises(DataError, match=message):
        one.check_related(other)


def test_coordinates_without_a_crs_are_a_plane_of_their_own(write):
    path = write(np.arange(600).reshape(20, 30).astype(np.uint16), transform=NORTH_UP)
    with rasterio.open(path) as file, GeoReference.of(path).window(2, 3, 4, 5).view(file) as view:
        np.testing.assert_array_equal(view.read(1), file.read(1)[3:8, 2:6])


def test_a_path_that_is_no_raster(tmp_path):
    with pytest.raises(OSError, match=r"nothing\.tif: not a raster"):
        GeoReference.of(tmp_path / "nothing.tif")
