"""Box arithmetic against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rsseg.structures import boxes


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
