"""A map lies where its image lies, whatever says so; with --gsd on the grid of metres on the ground."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasterio.transform import RPCTransformer

from rsseg.errors import DataError
from rsseg.mapping import MapOptions, Products, map_raster

SMALL = MapOptions(window=(16, 16), batch=2)
HERE = Affine(1, 0, 500000, 0, -1, 4000000)
RPCS = RPC(
    height_off=0, height_scale=500, lat_off=40, lat_scale=0.1, long_off=15, long_scale=0.1,
    line_off=10, line_scale=10, samp_off=15, samp_scale=15,
    line_num_coeff=[0, 0, -1] + [0] * 17, line_den_coeff=[1] + [0] * 19,
    samp_num_coeff=[0, 1] + [0] * 18, samp_den_coeff=[1] + [0] * 19,
)  # fmt: skip


@pytest.fixture
def mapped(stub, table, noise, write_raster, tmp_path):
    """Map of a raster of 20 x 30 pixels; what is written beside it has all products."""

    def run(options=SMALL, products=Products(), size=(20, 30), **profile):  # noqa: B008
        source = write_raster(noise(3, *size), **profile)
        map_raster(str(source), tmp_path / "map.tif", stub, table, options, {}, products=products)
        return rasterio.open(tmp_path / "map.tif")

    return run


def same_polynomials(file, folder):
    with rasterio.open(folder / "source.tif") as source:
        return source.rpcs is not None and file.rpcs == source.rpcs


def square_metres(path):
    with path.with_name("map_areas.csv").open() as file:
        return [row["m2"] for row in csv.DictReader(file)]


def test_polynomials_are_kept_in_the_map(mapped, tmp_path):
    options = MapOptions(window=(16, 16), probabilities="top")
    with mapped(options, crs=None, transform=None, rpcs=RPCS) as file:
        assert same_polynomials(file, tmp_path) and file.crs is None
    with rasterio.open(tmp_path / "map_probabilities.tif") as file:
        assert same_polynomials(file, tmp_path)
    assert square_metres(tmp_path / "map.tif") == ["", "", ""]
    message = r"source\.tif: the raster has rational polynomial coefficients .*orthorectify it first .*omit --gsd"
    with pytest.raises(DataError, match=message):
        mapped(MapOptions(window=(16, 16), gsd=1.0), crs=None, transform=None, rpcs=RPCS)


def test_a_transform_beside_polynomials_counts(mapped, tmp_path):
    with mapped(transform=HERE, rpcs=RPCS) as file:
        assert file.transform == HERE and same_polynomials(file, tmp_path)
    assert sum(map(float, square_metres(tmp_path / "map.tif"))) == 600
    (tmp_path / "map.tif").unlink()
    with mapped(MapOptions(window=(16, 16), gsd=2.0), transform=HERE, rpcs=RPCS) as file:
        assert file.transform == Affine(2, 0, 500000, 0, -2, 4000000)
        with rasterio.open(tmp_path / "source.tif") as source:  # the same ground for pixels twice as large
            for position in ((0, 0), (4, 3), (19, 29)):
                place = RPCTransformer(source.rpcs).xy(*position, zs=0, offset="ul")
                half = RPCTransformer(file.rpcs).rowcol(*place, zs=0, op=lambda value: value)
                np.testing.assert_allclose(np.array(half).ravel(), np.array(position) / 2, atol=1e-3)


def test_control_points_give_areas_and_a_grid(mapped, tmp_path):
    corners = [(0, 0), (0, 30), (20, 0), (20, 30)]
    points = [GroundControlPoint(r, c, 500000 + 2 * c, 4000000 - 2 * r) for r, c in corners]
    with mapped(transform=None, gcps=points) as file:
        assert [(p.row, p.col, p.x, p.y) for p in file.gcps[0]] == [(p.row, p.col, p.x, p.y) for p in points]
        assert file.gcps[1].to_epsg() == 32633
    assert sum(map(float, square_metres(tmp_path / "map.tif"))) == pytest.approx(2400)
    (tmp_path / "map.tif").unlink()
    with mapped(MapOptions(window=(16, 16), gsd=4.0), transform=None, gcps=points) as file:
        np.testing.assert_allclose(file.transform[:6], (4, 0, 500000, 0, -4, 4000000), atol=1e-9)
        assert (file.shape, file.gcps[0]) == ((10, 15), []) and (file.read(1) != 255).all()


@pytest.mark.parametrize(
    "crs, transform, pixel",
    [
        ("EPSG:32633", HERE, (1, 1)),
        ("EPSG:32633", Affine(1, 0, 500000, 0, 1, 4000000), (1, 1)),  # south up
        ("EPSG:32633", Affine(0.8, 0.6, 500000, 0.6, -0.8, 4000000), (1, 1)),  # rotated
        ("EPSG:2263", Affine(3, 0, 980000, 0, -3, 200000), (0.9144018, 0.9144018)),  # US survey feet
        ("EPSG:3857", Affine(2, 0, 1e6, 0, -2, 8399737.89), (1.0025, 1.0008)),  # at 60 degrees north
        ("EPSG:4326", Affine(1e-5, 0, 10, 0, -1e-5, 1e-4), (1.1131949, 1.1057428)),  # at the equator
    ],
)
def test_metres_are_those_of_the_ground(crs, transform, pixel, mapped, tmp_path):
    """--gsd and areas agree: pixels of half a metre have a quarter of a square metre, in every CRS."""
    with mapped(MapOptions(window=(64, 64), gsd=0.5), crs=crs, transform=transform) as file:
        assert file.shape == tuple(int(np.ceil(n * m / 0.5 - 1e-6)) for n, m in zip((20, 30), pixel[::-1], strict=True))
        count = int((file.read(1) != 255).sum())
    assert sum(map(float, square_metres(tmp_path / "map.tif"))) / count == pytest.approx(0.25, rel=2e-4)
