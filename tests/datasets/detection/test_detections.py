"""The record itself: selection, checks on many boxes at once."""

from pathlib import Path

import numpy as np
import pytest

from rsseg.datasets.detection import AnnotationError, Detections, check_inside, read_dota
from rsseg.metainfo import load_metainfo

SOTA = load_metainfo("sota")


def record(hbox, size=None):
    hbox = np.asarray(hbox, np.float64)
    n = len(hbox)
    return Detections(
        path=Path("a.txt"),
        stem="a",
        size=size,
        hbox=hbox,
        qbox=hbox[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2),
        labels=np.arange(n),
        names=[SOTA.classes[i] for i in range(n)],
        difficult=np.arange(n) % 2 == 1,
        oriented=np.zeros(n, np.bool_),
        object_ids=[str(10 + i) for i in range(n)],
        lines=[100 + i for i in range(n)],
        extra={"colour": list(range(n))},
        problems=[AnnotationError("a.txt", 1, "x", "was bad")],
    )


@pytest.mark.parametrize(
    ("index", "rows"),
    [([2, 0], [2, 0]), (np.array([False, True, True]), [1, 2]), ([], []), (slice(1, None), None), ([-1], [2])],
)
def test_select(index, rows):
    whole = record([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3]])
    if rows is None:
        index, rows = [1, 2], [1, 2]
    part = whole.select(index)
    assert len(part) == len(rows)
    assert part.labels.tolist() == part.extra["colour"] == rows
    assert part.hbox[:, 2].tolist() == part.qbox[:, 2, 0].tolist() == [1 + i for i in rows]
    assert part.names == [SOTA.classes[i] for i in rows]
    assert part.object_ids == [str(10 + i) for i in rows] and part.lines == [100 + i for i in rows]
    assert part.difficult.tolist() == [i == 1 for i in rows] and part.oriented.shape == (len(rows),)
    assert part.problems == whole.problems and part.problems is not whole.problems
    assert len(whole) == 3


def test_check_inside_lists_every_box_and_keeps_older_problems():
    boxes = [[0, 0, 5, 5], [8, 8, 12, 9], [np.nan, 0, 5, 5], [20, 0, 30, 5], [3, 3, 3, 4]]
    checked = check_inside(record(boxes), (10, 10), "skip")
    assert checked.object_ids == ["10"] and checked.size == (10, 10)
    assert [problem.line for problem in checked.problems] == [1, 101, 102, 103, 104]
    reasons = [problem.reason for problem in checked.problems[1:]]
    for reason, part in zip(reasons, ("by more than 1 px", "finite", "must cover", "zero-area"), strict=True):
        assert part in reason
    assert [problem.value for problem in checked.problems[1:3]] == ["8 8 12 9", "nan 0 5 5"]
    with pytest.raises(AnnotationError, match=r"^a\.txt:101: box outside the image of 10 x 10"):
        check_inside(record(boxes), (10, 10))


def test_corners_that_are_not_in_order_are_put_so(tmp_path):
    """A box whose corners are listed row by row crosses itself, and was taken for one without area."""
    path = tmp_path / "a.txt"
    path.write_text("1 1 9 1 1 5 9 5 ship 0\n1 1 9 1 9 5 1 5 ship 0\n1 1 9 5 9 1 1 5 plane 0\n")
    found = read_dota(path, SOTA)
    assert found.mended.tolist() == [True, False, True] and not found.problems
    around = [[1, 1], [9, 1], [9, 5], [1, 5]]
    assert found.qbox[0].tolist() == found.qbox[1].tolist() == around
    assert found.qbox[2].tolist() == [[1, 1], [9, 1], [9, 5], [1, 5]] and found.hbox[2].tolist() == [1, 1, 9, 5]
    assert found.select([1, 2]).mended.tolist() == [False, True]


def test_nearly_collinear_corners_far_out_enclose_nothing(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("90000.1 90000.1 90000.2 90000.2 90000.3 90000.3 90000.4 90000.4 ship 0\n")
    with pytest.raises(AnnotationError, match="zero-area rotated box"):
        read_dota(path, SOTA)


def test_huge_numbers_give_an_error_not_a_warning(tmp_path, recwarn):
    path = tmp_path / "a.txt"
    path.write_text("0 0 1e308 0 1e308 1e308 0 1e308 ship 0\n1e300 1e300 1e308 1e300 1e308 1e308 1e300 1e308 ship 0\n")
    found = check_inside(read_dota(path, SOTA), (10, 10), "skip")
    assert len(found) == 1 and not recwarn.list
