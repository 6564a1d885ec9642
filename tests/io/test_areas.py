"""Areas of polygons in the coordinates of a raster."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from rasterio import Affine
from rasterio.crs import CRS

from rsseg.io.areas import shape_areas
from rsseg.io.georeference import GeoReference

RING = [(0, 0), (20, 0), (20, 10), (0, 10)]
HOLE = [(5, 5), (10, 5), (10, 8), (5, 8)]


def _place(epsg: int | None, x: float = 0.0, y: float = 0.0, pixel: float = 1.0) -> GeoReference:
    crs = None if epsg is None else CRS.from_epsg(epsg)
    return GeoReference((100, 100), crs, Affine(pixel, 0, x, 0, -pixel, y))


@pytest.mark.parametrize("turned", [False, True])
def test_polygons_with_holes_in_a_plane(turned: bool) -> None:
    shape = shapely.Polygon(RING[::-1] if turned else RING, [HOLE])
    moved = shapely.transform(shape, lambda points: points + np.array([5e5, 5e6]))
    pair = shapely.multipolygons([moved, shapely.transform(moved, lambda points: points + 100)])
    found = shape_areas(np.array([moved, pair], object), _place(32633, 500_000, 5_000_050))
    assert found.tolist() == [20 * 10 - 5 * 3, 2 * (20 * 10 - 5 * 3)]  # in the plane, as GIS programs do


def test_without_metres_areas_are_pixels() -> None:
    shape = shapely.Polygon(RING, [HOLE])
    assert shape_areas(np.array([shape], object), GeoReference((100, 100))).tolist() == [185]
    assert shape_areas(np.array([shape], object), _place(None, pixel=0.5)).tolist() == [185 / 0.25]


@pytest.mark.parametrize(("epsg", "at"), [(4326, 1e-5), (3857, 1.0)])
def test_objects_of_several_parts_off_the_plane(epsg: int, at: float) -> None:
    one = shapely.Polygon(np.array(RING) * at, [np.array(HOLE) * at])
    other = shapely.transform(one, lambda points: points + 100 * at)
    place = _place(epsg, 0, 0, at)
    alone = shape_areas(np.array([one, other], object), place)
    together = shape_areas(np.array([shapely.multipolygons([one, other]), one], object), place)
    assert (alone > 1).all() and together == pytest.approx([alone.sum(), alone[0]])


def test_degrees_and_web_mercator_give_the_same_ground() -> None:
    # Snyder's authalic zone: a square of 0.01 degrees at 60 N has close to (0.01 * pi / 180)^2 * M * N * cos(60) m2,
    # with M = a (1 - e2) / (1 - e2 sin2)^1.5 and N = a / (1 - e2 sin2)^0.5
    a, e2 = 6378137.0, 0.00669437999014
    term = 1 - e2 * math.sin(math.radians(60)) ** 2
    by_hand = math.radians(0.01) ** 2 * a * (1 - e2) / term**1.5 * a / term**0.5 * 0.5
    box = shapely.box(10, 59.995, 10.01, 60.005)
    found = shape_areas(np.array([box], object), _place(4326, 10, 60.01, 0.0001))[0]
    assert found == pytest.approx(by_hand, rel=1e-6)

    def mercator(points: np.ndarray) -> np.ndarray:
        x, y = np.radians(points).T
        return np.column_stack([a * x, a * np.arctanh(np.sin(y))])

    same = shape_areas(np.array([shapely.transform(box, mercator)], object), _place(3857, 1_113_000, 8_400_000))[0]
    assert same == pytest.approx(by_hand, rel=1e-6)
