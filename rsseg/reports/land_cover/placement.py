"""Where the names of points stand, so that none hides a point or another name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.font_manager import FontProperties
from numpy.typing import NDArray

__all__ = ["annotate_points"]

Floats = NDArray[np.float64]
_RADII = (5, 10, 16, 24, 34, 46, 60, 80)
"""Distances from a point at which its name is tried, in typographic points."""


def annotate_points(axis: Axes, names: Sequence[str], points: Floats, size: float = 6.5, marker: float = 4) -> None:
    """Write the name of each point beside it, at the nearest place that is free, with a line where that is not near.

    Args:
        axis: Drawn already, with its final limits.
        names: N names.
        points: (N, 2) in data coordinates.
        size: Of the font, in typographic points.
        marker: Half the side of a marker, in typographic points.
    """
    figure = axis.get_figure(root=True)
    assert figure is not None
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()  # lays out the axes
    scale = 72 / figure.dpi
    anchors = axis.transData.transform(points) * scale
    area = axis.get_window_extent()
    inside = np.array([[area.x0, area.y0], [area.x1, area.y1]]) * scale
    font = FontProperties(size=size)
    taken = [np.array([anchor - marker, anchor + marker]) for anchor in anchors]
    for name, point, anchor in zip(names, points, anchors, strict=True):
        width, height, _ = canvas.get_renderer().get_text_width_height_descent(name, font, False)
        box = _free_box(anchor, np.array([width, height]) * scale, taken, inside)
        taken.append(box)
        offset = box.mean(0) - anchor
        far = np.hypot(*np.maximum(np.abs(offset) - (box[1] - box[0]) / 2, 0)) > 2 * _RADII[0]
        line = {"arrowstyle": "-", "linewidth": 0.4, "color": "#8a93a0", "shrinkA": 0, "shrinkB": 2} if far else None
        text = axis.annotate(name, point, offset, textcoords="offset points", fontsize=size, ha="center", va="center",
                             arrowprops=line)  # fmt: skip
        text.set_in_layout(False)


def _free_box(anchor: Floats, size: Floats, taken: Sequence[Floats], inside: Floats) -> Floats:
    """The nearest box (2, 2), lower and upper corner, that overlaps no other; else the one that overlaps least."""
    others = np.array(taken)
    best, least = np.array([anchor, anchor + size]), np.inf
    for radius in _RADII:
        for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (-0.7, 0.7), (0.7, -0.7), (-0.7, -0.7)):
            centre = anchor + np.array([x, y]) * (radius + size / 2)
            box = np.array([centre - size / 2, centre + size / 2])
            common = np.minimum(box[1], others[:, 1]) - np.maximum(box[0], others[:, 0])
            outside = np.maximum(inside[0] - box[0], 0).sum() + np.maximum(box[1] - inside[1], 0).sum()
            overlap = float((np.maximum(common, 0).prod(1)).sum() + 10 * outside)
            if overlap < least:
                best, least = box, overlap
        if least == 0:
            break
    return best
