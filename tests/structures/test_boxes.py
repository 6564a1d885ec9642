"""Box arithmetic against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from rsseg.structures import boxes
from rsseg.structures.rings import ring_area
from rsseg.structures.windows import qbox_iof


def test_hbox_to_qbox_and_back():
    qbox = boxes.hbox_to_qbox([1, 2, 5, 8])
    np.testing.assert_array_equal(qbox, [[1, 2], [5, 2], [5, 8], [1, 8]])
    np.testing.assert_array_equal(boxes.qbox_to_hbox(qbox), [1, 2, 5, 8])


def test_hull_of_a_diamond():
    np.testing.assert_array_equal(boxes.qbox_to_hbox([[2, 0], [4, 3], [2, 6], [0, 3]]), [0, 0, 4, 6])


def test_rbox_to_qbox_turns_towards_y():
    np.testing.assert_allclose(
        boxes.rbox_to_qbox([10, 20, 8, 4, np.pi / 2]), [[12, 16], [12, 24], [8, 24], [8, 16]], atol=1e-12
    )


@pytest.mark.parametrize("angle", [-1.5, -0.4, 0.0, 0.7, 1.2])
def test_rbox_survives_the_way_through_corners(angle):
    rbox = np.array([[10, 20, 8, 4, angle], [3, 4, 2, 9, angle]])
    np.testing.assert_allclose(boxes.qbox_to_rbox(boxes.rbox_to_qbox(rbox)), rbox, atol=1e-9)


def test_areas():
    assert boxes.hbox_area([1, 2, 4, 6]) == 12
    assert boxes.hbox_area([4, 2, 1, 6]) == 0
    assert boxes.qbox_area([[2, 0], [4, 3], [2, 6], [0, 3]]) == 12
    assert boxes.qbox_area([[0, 3], [2, 6], [4, 3], [2, 0]]) == 12


def test_clip():
    np.testing.assert_array_equal(boxes.clip_hbox([-3, 5, 20, 30], (10, 15)), [0, 5, 15, 10])
    assert boxes.hbox_area(boxes.clip_hbox([20, 20, 30, 30], (10, 10))) == 0


def test_iof_and_iou():
    np.testing.assert_allclose(boxes.hbox_iof([[0, 0, 4, 4], [0, 0, 0, 4]], [[2, 0, 10, 10]]), [[0.5], [0.0]])
    np.testing.assert_allclose(
        boxes.hbox_iou([[0, 0, 4, 4]], [[2, 0, 6, 4], [0, 0, 4, 4], [9, 9, 10, 10]]), [[1 / 3, 1, 0]]
    )


def test_overlaps_are_those_of_shapely():
    """Horizontal, rotated and other quadrilaterals, apart, touching, inside one another, and without area."""
    rng = np.random.default_rng(0)
    corners = np.sort(rng.integers(-5, 30, (40, 2, 2)), axis=1).reshape(40, 4).astype(float)
    windows = np.concatenate([corners[:12], [[0, 0, 20, 20], [20, 0, 40, 20], [-50, -50, 90, 90]]])
    windows = windows[boxes.hbox_area(windows) > 0]
    hulls, frames = shapely.box(*corners.T), shapely.box(*windows.T)
    inside = shapely.area(shapely.intersection(hulls[:, None], frames[None]))
    area = shapely.area(hulls)[:, None]
    np.testing.assert_allclose(boxes.hbox_area(corners), area[:, 0])
    np.testing.assert_allclose(
        boxes.hbox_iof(corners, windows), np.divide(inside, area, out=np.zeros_like(inside), where=area > 0), atol=1e-12
    )
    union = area + shapely.area(frames) - inside
    np.testing.assert_allclose(boxes.hbox_iou(corners, windows), inside / union, atol=1e-12)
    turned = boxes.rbox_to_qbox(np.column_stack([rng.uniform(0, 25, (40, 2)), rng.uniform(0.5, 30, (40, 2)),
                                                 rng.uniform(-2, 2, 40)]))  # fmt: skip
    bent = turned + rng.uniform(-0.2, 0.2, turned.shape)  # still convex, but no rectangles
    for quads in (turned, bent, boxes.hbox_to_qbox(corners[area[:, 0] > 0]), turned[:, ::-1]):
        shapes = shapely.polygons(quads)
        area = shapely.area(shapes)[:, None]
        np.testing.assert_allclose(boxes.qbox_area(quads), area[:, 0])
        inside = shapely.area(shapely.intersection(shapes[:, None], frames[None]))
        np.testing.assert_allclose(qbox_iof(quads, windows), inside / area, atol=1e-9)


def test_boxes_that_cross_themselves_are_made_valid():
    """By hand, and by shapely on quadrilaterals of every kind: area, share in windows, validity, order."""
    bow_tie = np.array([[0, 0], [4, 0], [0, 4], [4, 4]])  # the corners of a square, row by row
    assert boxes.qbox_area(bow_tie) == 8  # two triangles
    assert boxes.untangle_qbox(bow_tie).tolist() == [[0, 0], [4, 0], [4, 4], [0, 4]]
    np.testing.assert_allclose(qbox_iof(bow_tie, [[0, 0, 4, 2], [0, 0, 1, 9], [1, 0, 3, 4], [9, 9, 10, 10]]),
                               [[0.5, 0.125, 0.75, 0]])  # fmt: skip
    rng = np.random.default_rng(0)
    quads, frames = rng.integers(0, 12, (400, 4, 2)).astype(float), np.array([[0, 0, 6, 6], [3, 2, 9, 20]])
    shapes = shapely.polygons(quads)
    crossed = boxes.is_crossed(quads)
    valid = shapely.make_valid(shapes)
    area = shapely.area(valid)
    spread = np.abs(ring_area(quads)) > 0
    assert (crossed <= ~shapely.is_valid(shapes)).all() and crossed.sum() > 50
    proper = shapely.is_valid(shapes) | crossed  # the others have corners on their sides, or enclose nothing
    assert proper.mean() > 0.8
    np.testing.assert_allclose(boxes.qbox_area(quads)[proper], area[proper])
    inside = shapely.area(shapely.intersection(valid[:, None], shapely.box(*frames.T)[None]))
    rows = proper & (area > 0) & spread | crossed
    np.testing.assert_allclose(
        qbox_iof(quads, frames)[rows], (inside / np.maximum(area, 1e-9)[:, None])[rows], atol=1e-9
    )
    mended = boxes.untangle_qbox(quads)
    assert shapely.is_valid(shapely.polygons(mended[crossed])).all() and (mended[~crossed] == quads[~crossed]).all()
    hulls = shapely.area(shapely.convex_hull(shapes[crossed]))
    np.testing.assert_allclose(boxes.qbox_area(mended[crossed]), hulls)


def test_ring_area_is_signed_and_keeps_its_digits():
    ring = np.array([[0, 0], [3, 0], [3, 1], [1, 1], [1, 2], [0, 2]])
    assert ring_area(ring) == 4 and ring_area(ring[::-1]) == -4  # y up: against the clock is positive
    assert ring_area(np.vstack([ring, ring[:1]])) == 4  # closed
    assert ring_area(ring * 1e-3 + [5e5, 4e6]) == pytest.approx(4e-6, rel=1e-5)
    assert ring_area(np.stack([ring, 2 * ring])).tolist() == [4, 16]
