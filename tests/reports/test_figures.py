"""What all figures share: bytes that depend on the content alone, and names that hide nothing."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from rsseg.datasets.labels.statistics import Statistics
from rsseg.metainfo import load_metainfo
from rsseg.reports.bigearthnet.figures import FIGURES as BIGEARTHNET
from rsseg.reports.figures import figure_and_axes, in_style, label_bars, save_figure
from rsseg.reports.labels.figures import class_figure, quality_figure, size_figure
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


def named(figure):
    """That no panel is empty, that numbers have a name, and that counts are whole."""
    FigureCanvasAgg(figure).draw()
    for axis in figure.axes:
        assert axis.get_xlabel(), axis.get_title()
        assert axis.get_ylabel() or not any(text.get_text() for text in axis.get_yticklabels()), axis.get_title()
        assert axis.patches or axis.images or axis.collections or axis.lines
        for name, part in ((axis.get_xlabel(), axis.xaxis), (axis.get_ylabel(), axis.yaxis)):
            if name in ("images", "masks", "tiles"):
                assert all(float(tick).is_integer() for tick in part.get_majorticklocs()), name
    return [axis.get_xlabel() for axis in figure.axes]


def test_figures_of_labels_leave_out_what_is_not_there_and_name_the_rest():
    table = load_metainfo("hrsc")
    statistics = Statistics(table.classes)
    statistics.add_labels(np.bincount([0, 0, 255], minlength=256))
    statistics.ious[0, 40] = statistics.mask_box_ratios[0, 25] = statistics.instances[0] = statistics.sizes[0, 5] = 1
    assert named(quality_figure(statistics, table)) == [
        "predicted IoU", "mask area / box area (last bar: 2 and more)", "unlabelled share of a tile"
    ]  # fmt: skip
    assert named(class_figure(statistics, table)) == [
        "label pixels (logarithmic)", "instances with a mask (logarithmic)"
    ]  # fmt: skip
    named(size_figure(statistics, table))
    statistics.instances[0] = 0
    assert named(class_figure(statistics, table)) == ["label pixels (logarithmic)"]


def test_figures_of_bigearthnet_name_their_axes():
    tables = {
        "classes": (["level", "id", "class", "images"], [["level3", 0, "Pastures", 1]]),
        "labels_per_image": (["labels", "images", "share"], [[1, 1, 1.0]]),
        "dates": (["date", "season", "images"], [["2017-06-13", "summer", 1]]),
        "seasons": (["season", "images"], [[name, 1] for name in ("winter", "spring", "summer", "autumn")]),
        "countries": (["country", "images"], [["Austria", 1]]),
    }
    for draw in BIGEARTHNET.values():
        named(draw(tables))
