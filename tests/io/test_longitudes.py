"""Longitudes where they begin again: across the antimeridian, from 0 to 360 degrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.crs import CRS

from rsseg.io.georeference import GeoReference
from rsseg.io.longitudes import counted_beside, counted_from, in_degrees

DEGREES, UTM_60 = CRS.from_epsg(4326), CRS.from_epsg(32660)
EAST = 833978.56
"""180 degrees east on the equator in zone 60, three degrees east of its central meridian."""
METRES = GeoReference((2, 8), UTM_60, Affine(100, 0, EAST - 400, 0, -100, 200))


def _two_pixels(west: float) -> GeoReference:
    """A hundredth of a degree on either side of the antimeridian."""
    return GeoReference((1, 2), DEGREES, Affine(0.01, 0, west, 0, -0.01, 0.01))


@pytest.mark.parametrize("west", [179.99, -180.01])
def test_positions_across_the_antimeridian(west: float) -> None:
    columns, _ = METRES.pixels_in(_two_pixels(west), [0, 4, 8], [1, 1, 1])
    # 100 metres on the equator, where UTM's scale is 1.00098 three degrees off: 0.000897 degrees
    assert columns.tolist() == pytest.approx([1 - 4 * 0.0897, 1, 1 + 4 * 0.0897], abs=1e-3)


@pytest.mark.parametrize("west", [179.99, -180.01])
def test_pixels_across_the_antimeridian(west: float, tmp_path: Path) -> None:
    place = _two_pixels(west)
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", count=1, dtype="uint8", height=1, width=2,
                       **place.profile) as file:  # fmt: skip
        file.write(np.array([[[3, 5]]], np.uint8))
    with rasterio.open(tmp_path / "a.tif") as file, METRES.view(file) as view:
        assert view.read(1).tolist() == [[3, 3, 3, 3, 5, 5, 5, 5]] * 2


def test_whole_turns_between_rasters_of_one_crs() -> None:
    here, there = _two_pixels(179.99), _two_pixels(-180.01)
    assert here.same_pixels(there) and there.same_pixels(here)
    columns, rows = GeoReference((1, 2), DEGREES, Affine(0.01, 0, 200, 0, -0.01, 0.01)).pixels_in(
        GeoReference((1, 2), DEGREES, Affine(0.01, 0, -160.01, 0, -0.01, 0.01)), [0, 2], [0, 1]
    )
    assert columns.tolist() == pytest.approx([1, 3]) and rows.tolist() == pytest.approx([0, 1])
    assert counted_beside(DEGREES, (0, 360), DEGREES, (-180, 180)) == (DEGREES, 0)
    assert counted_beside(DEGREES, (-200, -190), DEGREES, (500, 510)) == (DEGREES, 720)


def test_another_prime_meridian() -> None:
    paris = CRS.from_epsg(4807)  # in grads
    assert in_degrees(DEGREES) and not in_degrees(paris) and not in_degrees(UTM_60) and not in_degrees(None)
    turned = counted_from(DEGREES, 170.0)
    assert turned is not None and turned.is_geographic and turned != DEGREES
