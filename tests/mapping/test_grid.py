"""Windows, strips and weights."""

import numpy as np
import pytest

from rsseg.mapping import BLENDS, Grid
from rsseg.mapping.grid import blend_centre, blend_cosine


def test_strips_and_blocks_tile_the_raster():
    grid = Grid((25, 13), (10, 10), (4, 4))
    assert grid.ys.tolist() == [0, 6, 12, 15]
    assert grid.xs.tolist() == [0, 3]
    assert [grid.strip(r) for r in range(4)] == [(0, 6), (6, 12), (12, 15), (15, 25)]
    assert [grid.block(j) for j in range(2)] == [(0, 3), (3, 13)]
    # window row 1 covers 6..16 and reaches strip 3, which begins at 15; row 0 ends at 10
    assert [grid.first_row(s) for s in range(4)] == [0, 0, 1, 1]


def test_windows_are_as_small_as_the_raster():
    grid = Grid((5, 30), (10, 10), (2, 2))
    assert grid.extent == (5, 10)
    assert grid.ys.tolist() == [0]


@pytest.mark.parametrize("size, window, overlap", [((0, 5), (4, 4), (0, 0)), ((5, 5), (4, 4), (4, 0))])
def test_impossible_grids_are_refused(size, window, overlap):
    with pytest.raises(ValueError, match="must be"):
        Grid(size, window, overlap)


@pytest.mark.parametrize("name", BLENDS)
def test_a_single_window_counts_as_it_is(name):
    assert (BLENDS[name](np.array([0]), 7, 7) == 1).all()


def test_cosine_weights_add_up_to_one_and_fade():
    starts = np.array([0, 6, 9])
    weights = blend_cosine(starts, 8, 17)
    total = np.zeros(17)
    for row, start in zip(weights, starts, strict=True):
        total[start : start + 8] += row
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert (weights[0, :6] == 1).all()  # no other window is there
    assert weights[0, 6] > weights[0, 7] and weights[1, 0] < weights[1, 1]


def test_centre_cuts_in_the_middle_of_the_overlap():
    # windows 0..8 and 6..14 share 6 and 7: the cut is before 7
    assert blend_centre(np.array([0, 6]), 8, 14).tolist() == [[1] * 7 + [0], [0] + [1] * 7]
