"""Windows and the objects they keep."""

import numpy as np
import pytest

from rsseg.structures.boxes import rbox_to_qbox
from rsseg.structures.windows import assign_boxes, cut_window, qbox_iof, tile_windows


def test_small_image_is_one_window() -> None:
    assert tile_windows((300, 500), 512, 100).tolist() == [[0, 0, 500, 300]]
    assert tile_windows((300, 500), 512, 100, pad=True).tolist() == [[0, 0, 512, 512]]


def test_exact_fit_is_one_window() -> None:
    assert tile_windows((512, 512), 512, 100).tolist() == [[0, 0, 512, 512]]


def test_last_window_is_shifted_back_and_order_is_x_major() -> None:
    # Width 10, tile 4, overlap 1: step 3, ceil(6 / 3) + 1 = 3 columns at 0 3 6; height 6: ceil(2 / 3) + 1 = 2 rows.
    assert tile_windows((6, 10), 4, 1).tolist() == [
        [0, 0, 4, 4], [0, 2, 4, 6], [3, 0, 7, 4], [3, 2, 7, 6], [6, 0, 10, 4], [6, 2, 10, 6],
    ]  # fmt: skip


def test_counts_of_the_papers() -> None:
    assert len(tile_windows((6000, 6000), 512, 192)) == 361
    assert len(tile_windows((1000, 1000), 600, 150)) == 4


def test_tile_and_overlap_per_axis() -> None:
    assert tile_windows((6, 10), (6, 4), (0, 1)).tolist() == [[0, 0, 4, 6], [3, 0, 7, 6], [6, 0, 10, 6]]


@pytest.mark.parametrize(("size", "tile", "overlap"), [((0, 5), 4, 0), ((5, 5), 0, 0), ((5, 5), 4, 4), ((5, 5), 4, -1)])
def test_impossible_tilings(size: tuple[int, int], tile: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        tile_windows(size, tile, overlap)


def test_windows_cover_every_pixel() -> None:
    seen = np.zeros((37, 53), int)
    for x1, y1, x2, y2 in tile_windows(seen.shape, 10, 3):
        assert (y2 - y1, x2 - x1) == (10, 10)
        seen[y1:y2, x1:x2] += 1
    assert seen.min() == 1


def test_cut_is_a_view_inside_and_filled_outside() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.shares_memory(cut_window(image, [1, 1, 3, 3]), image)
    assert cut_window(image, [2, 1, 5, 4], fill=9).tolist() == [[6, 7, 9], [10, 11, 9], [9, 9, 9]]


def test_horizontal_boxes_by_hand() -> None:
    # 10 x 10 box, 7 of its 10 columns inside: exactly 0.7 passes, 0.71 does not.
    boxes, windows = [[3.0, 0, 13, 10]], [[0, 0, 10, 10]]
    assert assign_boxes(boxes, windows, 0.7).tolist() == [[True]]
    assert assign_boxes(boxes, windows, 0.71).tolist() == [[False]]


def test_threshold_survives_rounding() -> None:
    # The inside is 0.07 of 0.1 wide: in floating point the share is just below 0.7.
    assert assign_boxes([[-0.03, 0, 0.07, 1]], [[0, 0, 1, 1]], 0.7).all()


def test_rotated_box_by_hand() -> None:
    # A diamond with corners (0, -2), (2, 0), (0, 2), (-2, 0), area 8.
    diamond = np.array([[[0.0, -2], [2, 0], [0, 2], [-2, 0]]])
    windows = np.array([[0, 0, 5, 5], [-5, -5, 5, 0], [-1, -1, 1, 1], [3, 3, 4, 4], [-5, -5, 5, 5]])
    assert qbox_iof(diamond, windows)[0] == pytest.approx([0.25, 0.5, 0.5, 0, 1])
    # Its hull would pass half of itself to the corner window's 4 x 4; the polygon only 2 of 8.
    assert not assign_boxes(diamond, windows[:1], 0.3).any()


def test_either_direction_and_no_area() -> None:
    square = np.array([[[0.0, 0], [4, 0], [4, 4], [0, 4]]])
    windows = np.array([[2, 0, 9, 9]])
    assert qbox_iof(square, windows) == pytest.approx(0.5)
    assert qbox_iof(square[:, ::-1], windows) == pytest.approx(0.5)
    assert qbox_iof(np.zeros((1, 4, 2)), np.array([[-1, -1, 1, 1]])).tolist() == [[0.0]]


def test_polygon_share_agrees_with_counting_points() -> None:
    rng = np.random.default_rng(0)
    grid = (np.stack(np.meshgrid(np.arange(400), np.arange(400)), -1) + 0.5) / 4
    for _ in range(10):
        quad = rbox_to_qbox([*rng.uniform(20, 80, 2), *rng.uniform(5, 60, 2), rng.uniform(0, 3)])
        window = np.array([30, 20, 70, 90])
        side = np.roll(quad, -1, 0) - quad
        away = grid[:, :, None] - quad
        inside = (side[:, 0] * away[..., 1] - side[:, 1] * away[..., 0] > 0).all(-1)
        framed = ((grid >= window[:2]) & (grid < window[2:])).all(-1)
        whole = np.linalg.norm(side[0]) * np.linalg.norm(side[1]) * 16
        assert qbox_iof(quad[None], window[None])[0, 0] == pytest.approx((inside & framed).sum() / whole, abs=0.02)


def test_nothing_to_assign() -> None:
    assert assign_boxes(np.zeros((0, 4)), [[0, 0, 1, 1]], 0.5).shape == (0, 1)
    assert assign_boxes(np.zeros((0, 4, 2)), [[0, 0, 1, 1]], 0.5).shape == (0, 1)


@pytest.mark.parametrize("threshold", [0, -1, 1.1])
def test_threshold_must_be_a_share(threshold: float) -> None:
    with pytest.raises(ValueError, match="iof_thr"):
        assign_boxes([[0, 0, 1, 1]], [[0, 0, 1, 1]], threshold)
