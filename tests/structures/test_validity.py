"""Polygons whose points are all but the same, on which GEOS gives up."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from rsseg.structures.validity import mend_shapes


def test_shapes_that_geos_cannot_rebuild_from_their_rings() -> None:
    holed = shapely.from_wkt(
        "POLYGON ((10.9 37.4, 51.5 7.6, 40.1 10, 10.9 37.4), "
        "(1 3, 2 3, 1 0, 2 2, 3 3, -3.462290011618714e-15 -3.3487606713274355e-15, 1 3))"
    )
    square = shapely.box(0, 0, 2, 2)
    bow = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    parts, numbers = mend_shapes(np.array([square, holed, bow], object))
    assert shapely.is_valid(parts).all() and set(shapely.get_type_id(parts)) == {3}
    sums = np.bincount(numbers, shapely.area(parts))
    assert sums == pytest.approx([4, shapely.Polygon(holed.exterior).area, 2]), "the hole lies beside it"
