"""Kinds of prompt: how they are read, and what each tells the model, by hand."""

from itertools import product

import numpy as np
import pytest

from rsseg.conversion import Prompts, make_prompts, parse_prompt

HBOX = np.array([[2.0, 1, 6, 4], [-3.7, 2.9, 4.2, 30]])
QBOX = np.array([[[3.0, 0], [7, 3], [5, 6], [1, 2]], [[0.0, 0], [4, 0], [4, 4], [0, 4]]])


def test_parts_come_back_in_their_canonical_order() -> None:
    assert parse_prompt("hbox") == ("hbox",)
    assert parse_prompt("rbox_m+rhbox+cp") == ("cp", "rhbox", "rbox_m")
    kinds = [
        "+".join(filter(None, parts))
        for parts in product(("", "cp"), ("", "hbox", "rhbox"), ("", "hbox_m", "rbox_m", "rhbox_m"))
    ]
    assert len(kinds) == 24
    for kind in kinds[1:]:
        assert "+".join(parse_prompt(kind)) == kind


@pytest.mark.parametrize("kind", ["", "scribble", "cp+", "hbox+rhbox", "hbox_m+rbox_m", "cp+cp", "hbox+hbox", "HBOX"])
def test_other_kinds_are_refused_with_the_list_of_parts(kind: str) -> None:
    with pytest.raises(ValueError, match=r"point cp; box hbox, rhbox; mask hbox_m, rbox_m, rhbox_m"):
        parse_prompt(kind)


def test_a_point_is_the_midpoint_of_the_first_diagonal() -> None:
    prompts = make_prompts("cp", HBOX, QBOX)
    assert prompts.points is not None and prompts.points.tolist() == [[[4, 3]], [[2, 2]]]
    assert prompts.point_labels is not None and prompts.point_labels.tolist() == [[1], [1]]
    assert prompts.boxes is None and not prompts.has_masks
    with pytest.raises(ValueError, match="BoxPredictor needs box prompts; choose a prompt with the part 'hbox'"):
        prompts.need_boxes("BoxPredictor")


def test_parts_add_up() -> None:
    prompts = make_prompts("cp+rhbox+hbox_m", HBOX, QBOX)
    assert prompts.points is not None and prompts.qboxes is QBOX and prompts.mask_boxes is HBOX
    assert prompts.boxes is not None and prompts.boxes.tolist() == [[1, 0, 7, 6], [0, 0, 4, 4]]
    assert make_prompts("rhbox_m", HBOX, QBOX).mask_boxes.tolist() == prompts.boxes.tolist()  # type: ignore[union-attr]
    assert make_prompts("rbox_m", HBOX, QBOX).mask_qboxes is QBOX


def test_drawn_boxes_own_their_outline_and_are_cut_at_the_tile() -> None:
    prompts = make_prompts("hbox_m", HBOX, QBOX)
    drawn = prompts.draw_mask(0, (6, 8))
    assert np.argwhere(drawn).min(0).tolist() == [1, 2] and np.argwhere(drawn).max(0).tolist() == [4, 6]
    assert drawn.sum() == 4 * 5
    cut = prompts.draw_mask(1, (6, 8))  # -3.7 2.9 4.2 30: columns up to 4, rows from 2
    assert cut[2:, :5].all() and cut.sum() == 4 * 5


def test_drawn_rotated_boxes_follow_the_polygon() -> None:
    square = np.array([[[1.9, 1.9], [4.2, 1.1], [4.8, 3.9], [1.0, 3.2]]])  # to whole numbers: 1 1, 4 1, 4 3, 1 3
    drawn = make_prompts("rbox_m", HBOX[:1], square).draw_mask(0, (6, 8))
    assert drawn[1:4, 1:5].all() and drawn.sum() == 3 * 4
    with pytest.raises(ValueError, match="rbox_m"):
        Prompts(1).draw_mask(0, (6, 8))
