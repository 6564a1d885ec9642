"""Mask crops, run lengths and filled shapes."""

from typing import Any

import numpy as np
import pytest

from rsseg.structures.masks import (
    MaskCrop,
    crop_mask,
    cut_mask,
    empty_mask,
    fill_hbox,
    fill_polygon,
    mask_from_coco,
    mask_intersection,
    paint_mask,
    rle_counts,
    to_rle,
)
from rsseg.structures.validity import count_invalid, mend_polygons

coco = pytest.importorskip("pycocotools.mask")


def _picture(mask: np.ndarray) -> list[str]:
    return ["".join(".#"[int(v)] for v in row) for row in mask]


def test_crop_is_tight_and_returns() -> None:
    mask = np.zeros((5, 6), bool)
    mask[1, 2] = mask[3, 4] = True
    crop = crop_mask(mask)
    assert (crop.x, crop.y, crop.pixels.shape) == (2, 1, (3, 3))
    assert crop.bbox == (2, 1, 5, 4)
    assert crop.area == 2
    assert (crop.full((5, 6)) == mask).all()


def test_empty_mask() -> None:
    crop = crop_mask(np.zeros((4, 4), bool))
    assert crop.area == 0 and crop.bbox == (0, 0, 0, 0)
    assert empty_mask().full((2, 3)).sum() == 0
    assert rle_counts(crop, (4, 4)).tolist() == [16]


def test_run_lengths_by_hand() -> None:
    # Column-major on 3 x 3: columns 010, 111, 001 -> 0 1 0 1 1 1 0 0 1.
    mask = np.array([[0, 1, 0], [1, 1, 0], [0, 1, 1]], bool)
    assert rle_counts(crop_mask(mask), (3, 3)).tolist() == [1, 1, 1, 3, 2, 1]


def test_runs_join_across_full_columns() -> None:
    assert rle_counts(MaskCrop(1, 0, np.ones((3, 2), bool)), (3, 4)).tolist() == [3, 6, 3]
    assert rle_counts(MaskCrop(0, 0, np.ones((3, 4), bool)), (3, 4)).tolist() == [0, 12]


def test_rle_equals_pycocotools_on_random_masks() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        height, width = (int(v) for v in rng.integers(1, 40, 2))
        mask = rng.random((height, width)) < rng.choice([0, 0.05, 0.5, 0.95, 1])
        expected = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert to_rle(crop_mask(mask), (height, width)) == {
            "size": [height, width],
            "counts": expected["counts"].decode(),
        }


def test_rle_of_a_crop_in_a_large_canvas() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.random((7, 9)) < 0.5
    full = np.zeros((200, 300), bool)
    full[150:157, 280:289] = pixels
    expected = coco.encode(np.asfortranarray(full.astype(np.uint8)))["counts"].decode()
    assert to_rle(MaskCrop(280, 150, pixels), (200, 300))["counts"] == expected


def test_mask_beyond_its_canvas_is_an_error() -> None:
    with pytest.raises(ValueError, match="exceeds the canvas"):
        rle_counts(MaskCrop(2, 0, np.ones((2, 2), bool)), (3, 3))


@pytest.mark.parametrize("form", ["compressed", "counts", "polygon"])
def test_every_coco_form_is_read(form: str) -> None:
    mask = np.zeros((6, 8), bool)
    mask[1:4, 2:7] = True
    forms = {
        "compressed": to_rle(crop_mask(mask), (6, 8)),
        "counts": {"size": [6, 8], "counts": rle_counts(crop_mask(mask), (6, 8)).tolist()},
        "polygon": [[2, 1, 7, 1, 7, 4, 2, 4]],
    }
    assert (mask_from_coco(forms[form], (6, 8)).full((6, 8)) == mask).all()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"size": [8, 6], "counts": "0P1"}, "RLE of the image's size"),
        ({"size": [6, 8], "counts": [48, 1]}, "add up to the image's 48 pixels"),
        ({"size": [6, 8], "counts": "5"}, "run lengths"),
        ({"size": [6, 8]}, "must be an RLE"),
        ([[1, 2, 3]], "list of polygons"),
        ([[1, 2, 3, 4, 1e9, 6]], "list of polygons"),
        ("text", "list of polygons"),
        (None, "list of polygons"),
    ],
)
def test_other_shapes_are_refused(shape: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mask_from_coco(shape, (6, 8))


def test_shapes_without_pixels() -> None:
    assert mask_from_coco([], (6, 8)).area == mask_from_coco([[1, 1, 2, 2]], (6, 8)).area == 0


def test_intersection_of_masks() -> None:
    a, b = MaskCrop(0, 0, np.ones((4, 4), bool)), MaskCrop(2, 2, np.ones((4, 4), bool))
    assert mask_intersection(a, b) == mask_intersection(b, a) == 4
    assert mask_intersection(a, MaskCrop(4, 0, np.ones((4, 4), bool))) == mask_intersection(a, empty_mask()) == 0
    ring = np.ones((4, 4), bool)
    ring[1:3, 1:3] = False
    assert mask_intersection(MaskCrop(1, 1, ring), a) == 5  # the top row and the left column of the ring


def test_cut_moves_into_the_window() -> None:
    mask = MaskCrop(2, 1, np.ones((3, 4), bool))  # columns 2-5, rows 1-3
    cut = cut_mask(mask, (4, 2, 10, 10))
    assert (cut.x, cut.y, cut.pixels.shape) == (0, 0, (2, 2))
    assert cut_mask(mask, (0, 0, 3, 10)).bbox == (2, 1, 3, 4)
    assert cut_mask(mask, (20, 20, 30, 30)).area == 0
    assert cut_mask(mask, (-3, -2, 10, 10)).bbox == (5, 3, 9, 6)


def test_paint_drops_what_is_off_the_canvas() -> None:
    canvas = np.full((3, 3), 255, np.uint8)
    paint_mask(canvas, MaskCrop(-1, 2, np.ones((3, 2), bool)), 7)
    assert canvas.tolist() == [[255] * 3, [255] * 3, [7, 255, 255]]


def test_box_owns_pixels_whose_centre_it_holds() -> None:
    # From 0.5 (centre of pixel 0, included) to 2.5 (centre of pixel 2, excluded).
    assert fill_hbox([0.5, 0, 2.5, 1], (3, 4)).bbox == (0, 0, 2, 1)
    assert fill_hbox([-5, -5, 9, 9], (3, 4)).area == 12
    assert fill_hbox([10, 10, 20, 20], (3, 4)).area == 0


def test_ground_that_a_polygon_runs_around_twice_is_inside() -> None:
    """COCO's even-odd rule leaves it out: a square traced twice would be an empty mask."""
    square = [1, 1, 5, 1, 5, 5, 1, 5]
    once = mask_from_coco([square], (8, 8)).full((8, 8))
    assert once.sum() == 16 and (mask_from_coco([square * 2], (8, 8)).full((8, 8)) == once).all()
    loop = [0, 0, 6, 0, 6, 6, 2, 6, 2, 2, 4, 2, 4, 4, 0, 4]  # it crosses itself, and encloses 4 pixels twice
    assert mask_from_coco([loop], (8, 8)).area == 32
    bow_tie = [0, 0, 6, 0, 0, 6, 6, 6]  # drawn in full as it is: as the COCO API does
    api = coco.decode(coco.merge(coco.frPyObjects([bow_tie], 8, 8))).astype(bool)
    assert (mask_from_coco([bow_tie], (8, 8)).full((8, 8)) == api).all()
    assert count_invalid([square, square * 2, bow_tie, [1, 1, 2, 2], [1, 1, 3, 3, 5, 5]]) == 2
    frame = [0, 0, 7, 0, 7, 7, 0, 7, 0, 2, 2, 2, 2, 5, 5, 5, 5, 2, 2, 2, 0, 2]  # with a hole that a cut leads to
    assert len(mend_polygons([frame * 2])[0].holes) == 1 and mask_from_coco([frame * 2], (8, 8)).area == 49 - 9


def test_polygon_by_hand() -> None:
    diamond = [[3, -0.1], [6.1, 3], [3, 6.1], [-0.1, 3]]
    assert _picture(fill_polygon(diamond, (6, 6)).full((6, 6))) == [
        "..##..",
        ".####.",
        "######",
        "######",
        ".####.",
        "..##..",
    ]


def test_centres_on_the_left_edge_belong_and_on_the_right_do_not() -> None:
    diamond = [[3, 0], [6, 3], [3, 6], [0, 3]]
    assert _picture(fill_polygon(diamond, (6, 6)).full((6, 6)))[:3] == ["..#...", ".###..", "#####."]


def test_neighbouring_polygons_share_no_pixel() -> None:
    left = fill_polygon([[0, 0], [4.5, 0], [2.5, 6], [0, 6]], (6, 8)).full((6, 8))
    right = fill_polygon([[4.5, 0], [8, 0], [8, 6], [2.5, 6]], (6, 8)).full((6, 8))
    assert (left ^ right).all()


def test_rectangle_as_polygon_equals_box() -> None:
    box = np.array([1.3, 0.5, 5.5, 3.7])
    corners = box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2)
    assert (fill_polygon(corners, (6, 8)).full((6, 8)) == fill_hbox(box, (6, 8)).full((6, 8))).all()


def test_polygon_off_the_image() -> None:
    assert fill_polygon([[-5, -5], [-1, -5], [-1, -1]], (4, 4)).area == 0
    assert fill_polygon([[-4, -4], [2, -4], [2, 2], [-4, 2]], (4, 4)).area == 4
