"""What all figures share: bytes that depend on the content alone, and names that hide nothing."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from rsseg.reports.figures import figure_and_axes, in_style, label_bars, save_figure
from rsseg.reports.land_cover.placement import annotate_points


@in_style
def bars(values):
    figure, (axis,) = figure_and_axes(4, 2, "Bars")
    axis.barh(range(len(values)), values)
    label_bars(axis, [f"row {i}" for i in range(len(values))], values, [str(value) for value in values])
    return figure


def test_the_same_figure_has_the_same_bytes_and_is_replaced_as_a_whole(tmp_path):
    for name in ("a.png", "new/b.png"):
        save_figure(bars([1, 2, 3]), tmp_path / name)
    first = (tmp_path / "a.png").read_bytes()
    assert first == (tmp_path / "new" / "b.png").read_bytes()
    save_figure(bars([3, 2, 1]), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() != first and b"Software" not in first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "new"]


def test_rows_read_from_top_to_bottom():
    axis = bars([5, 7]).axes[0]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["row 0", "row 1"]
    assert axis.get_ylim() == (1.5, -0.5)
    assert [(text.get_text(), text.xy) for text in axis.texts] == [("5", (5, 0)), ("7", (7, 1))]


@pytest.mark.parametrize("count", [1, 8, 97])
def test_names_of_points_hide_neither_points_nor_names(count):
    rng = np.random.default_rng(count)
    points = rng.normal(size=(count, 2))
    figure, (axis,) = figure_and_axes(8, 7, "Points")
    axis.scatter(*points.T, s=38)
    annotate_points(axis, [f"a_region_{i}" for i in range(count)], points)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    boxes = np.array([Text.get_window_extent(text, renderer).extents for text in axis.texts])
    low, high = boxes[:, :2] + 1, boxes[:, 2:] - 1  # a pixel for rounding
    common = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    overlapping = (common > 0).all(2) & ~np.eye(count, dtype=bool)
    assert len(boxes) == count and not overlapping.any()
    dots = axis.transData.transform(points)
    hidden = ((dots[:, None] > low[None]) & (dots[:, None] < high[None])).all(2)
    assert not hidden.any()
