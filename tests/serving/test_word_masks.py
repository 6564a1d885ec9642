"""Pictures, shares and polygons of a mask at a threshold, worked out by hand."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import shapely
from PIL import Image

from rsseg.serving.views import View
from rsseg.serving.word_masks import ViewMask

NO = 255
LABELS = np.array([[0, 0, 1], [1, 0, NO]], np.uint8)
BEST = np.array([[254, 127, 100], [60, 0, NO]], np.uint8)


@pytest.fixture
def mask() -> ViewMask:
    """Two classes in a view of 3 x 2 pixels of a thousandth of a degree, at 60 degrees north."""
    classes = [{"id": 0, "name": "sea", "color": "#0000ff"}, {"id": 1, "name": "Straße", "color": "#ff8000"}]
    view = View(10, 60, 10.003, 60.002, 3, 2)
    return ViewMask(classes, view, True, LABELS, BEST, 254)


@pytest.mark.parametrize(
    ("threshold", "chosen", "expected"),
    [
        (0, None, [[0, 0, 1], [1, 0, NO]]),
        (0.5, None, [[0, 0, NO], [NO, NO, NO]]),  # 127 / 254 is enough
        (0.501, None, [[0, NO, NO], [NO, NO, NO]]),
        (1, None, [[0, NO, NO], [NO, NO, NO]]),
        (0.2, {1}, [[NO, NO, 1], [1, NO, NO]]),
        (0, [], [[NO, NO, NO], [NO, NO, NO]]),
        (0, [7, 255, 999], [[NO, NO, NO], [NO, NO, NO]]),
    ],
)
def test_pixels_above_a_threshold(
    mask: ViewMask, threshold: float, chosen: list[int] | None, expected: list[list[int]]
) -> None:
    assert mask.at(threshold, chosen).tolist() == expected


def test_the_picture_is_transparent_where_there_is_no_class(mask: ViewMask) -> None:
    with Image.open(io.BytesIO(mask.picture(0.3))) as picture:
        assert picture.mode == "P"
        found = np.asarray(picture.convert("RGBA"))
    assert found[0].tolist() == [[0, 0, 255, 255], [0, 0, 255, 255], [255, 128, 0, 255]]
    assert found[1, :, 3].tolist() == [0, 0, 0]


def test_shares_are_of_the_pixels_with_data(mask: ViewMask) -> None:
    found = mask.shares(0.3)
    assert found["pixels"] == 5 and found["unsure"] == pytest.approx(2 / 5)
    sea, street = found["classes"]
    assert (sea["pixels"], sea["share"], street["pixels"], street["share"]) == (2, 0.4, 1, 0.2)
    # a thousandth of a degree is 111.412 m of a meridian and 55.800 m of the parallel there
    assert sea["square_metres"] == pytest.approx(2 * 111.412 * 55.800, rel=1e-4)
    plain = ViewMask(mask.classes, mask.view, False, LABELS, BEST, 254).shares(0)
    assert [row["square_metres"] for row in plain["classes"]] == [None, None] and plain["unsure"] == 0
    nothing = ViewMask(mask.classes, mask.view, True, LABELS * 0 + NO, BEST * 0 + NO, 254).shares(0)
    assert nothing["pixels"] == 0 and [row["share"] for row in nothing["classes"]] == [0, 0]


def test_polygons_are_in_degrees_and_the_largest_come_first(mask: ViewMask) -> None:
    found = mask.polygons(0)
    features = found["features"]
    assert [(part["properties"]["name"], part["properties"]["pixels"]) for part in features] == [
        ("sea", 3), ("Straße", 1), ("Straße", 1)
    ]  # fmt: skip
    lon, lat = np.array(features[0]["geometry"]["coordinates"][0]).T
    assert (lon.min(), lon.max()) == (pytest.approx(10), pytest.approx(10.002))
    assert (lat.min(), lat.max()) == (pytest.approx(60), pytest.approx(60.002))
    assert not found["truncated"]
    assert mask.polygons(0, [])["features"] == []


def test_polygons_across_the_antimeridian_are_in_one_piece(mask: ViewMask) -> None:
    there = ViewMask(mask.classes, View(179.999, 60, 180.002, 60.002, 3, 2), True, LABELS, BEST, 254)
    shape = shapely.from_geojson(json.dumps(there.polygons(0)["features"][0]["geometry"]))
    assert shape.bounds == pytest.approx((179.999, 60, 180.001, 60.002))
    assert shape.area == pytest.approx(3 * 1e-6, rel=1e-4) and shape.exterior.is_ccw


def test_other_results_have_no_mask() -> None:
    for result in (None, {}, {"data": np.zeros(3)}, {"data": {"masks": 1}}):
        with pytest.raises(LookupError, match="no mask, or none yet"):
            ViewMask.of(result)
