"""Polygons that cross themselves, and what they enclose.

A polygon that runs around some ground twice encloses it; the rule by which masks are drawn (even-odd) leaves it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MendedPolygon", "count_invalid", "mend_polygons", "mend_shapes", "with_lost_ground"]

_TRIANGLE = 6
"""Numbers of the smallest ring."""


@dataclass(frozen=True)
class MendedPolygon:
    """A polygon that does not cross itself; rings are x1 y1 x2 y2 ..., not closed.

    Attributes:
        ring: The outer ring.
        holes: Rings of what is left out.
    """

    ring: list[float]
    holes: list[list[float]] = field(default_factory=list)


def _shapes(parts: Sequence[Sequence[float]]) -> NDArray[np.object_]:
    """Polygons of rings x1 y1 x2 y2 ... with three points or more."""
    import shapely

    points = np.concatenate([np.asarray(part, np.float64).reshape(-1, 2) for part in parts])
    lines = shapely.linearrings(points, indices=np.repeat(np.arange(len(parts)), [len(part) // 2 for part in parts]))
    return np.asarray(shapely.polygons(lines))


def count_invalid(parts: Sequence[Sequence[float]]) -> int:
    """How many rings x1 y1 x2 y2 ... cross themselves and enclose something; all are tested at once."""
    return len(_invalid(parts))


def _invalid(parts: Sequence[Sequence[float]]) -> NDArray[np.object_]:
    """Those of the rings that cross themselves, as what they enclose."""
    import shapely

    rings = [part for part in parts if len(part) >= _TRIANGLE]
    if not rings:
        return np.empty(0, object)
    shapes = _shapes(rings)
    wrong = shapes[~shapely.is_valid(shapes)]
    whole = _enclosed(wrong)
    return np.asarray(whole[shapely.area(whole) > 0])


def _enclosed(wrong: NDArray[np.object_]) -> NDArray[np.object_]:
    """What polygons (N,) that cross themselves enclose, as polygons of one part or several."""
    import shapely

    try:
        return np.asarray(shapely.make_valid(wrong, method="structure", keep_collapsed=False))
    except shapely.GEOSException:
        return np.array([_enclosed_by(shape) for shape in wrong], object)


def _enclosed_by(shape: Any) -> Any:
    """As :func:`_enclosed`, ring by ring, as GEOS gives up on few whose points are all but the same."""
    import shapely

    filled = shapely.polygons([shape.exterior, *shape.interiors])
    try:
        rings = shapely.make_valid(filled, method="structure", keep_collapsed=False)
    except shapely.GEOSException:  # this form leaves out ground that a ring runs around twice
        rings = shapely.make_valid(filled)
    parts = shapely.get_parts(shapely.difference(rings[0], shapely.union_all(rings[1:])))
    parts = shapely.get_parts(parts)
    return shapely.multipolygons(parts[shapely.area(parts) > 0])


def mend_polygons(parts: Sequence[Sequence[float]]) -> list[MendedPolygon]:
    """What the polygons among these enclose that cross themselves; empty where all are valid.

    Args:
        parts: Rings x1 y1 x2 y2 ...
    """
    return [polygon for shape in _invalid(parts) for polygon in _mended(shape)]


def with_lost_ground(drawn: NDArray[np.bool_], mended: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask with the ground that its polygons run around twice.

    Args:
        drawn: (H, W) the polygons as they are, by the even-odd rule.
        mended: (H, W) those of :func:`mend_polygons`.

    Returns:
        (H, W) ``drawn`` where the two differ along outlines at most, by rounding; else both.
    """
    lost = mended & ~drawn
    block = lost[:-1, :-1] & lost[1:, :-1] & lost[:-1, 1:] & lost[1:, 1:]
    return drawn | mended if block.any() else drawn


def _mended(shape: Any) -> list[MendedPolygon]:
    import shapely

    def ring(line: Any) -> list[float]:
        return shapely.get_coordinates(line)[:-1].ravel().tolist()

    polygons = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    return [MendedPolygon(ring(part.exterior), list(map(ring, part.interiors))) for part in polygons]


def mend_shapes(shapes: NDArray[np.object_]) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Polygons that do not cross themselves, for files.

    Args:
        shapes: (N,) polygons of shapely.

    Returns:
        (M,) polygons, and (M,) the number of the polygon that each was or was part of.  Valid ones are the same
        objects; one that encloses nothing stays as it is.
    """
    import shapely

    numbers = np.arange(len(shapes))
    wrong = ~shapely.is_valid(shapes)
    if not wrong.any():
        return shapes, numbers
    out = shapes.copy()
    mended = _enclosed(shapes[wrong])
    out[wrong] = np.where(shapely.is_empty(mended), shapes[wrong], shapely.orient_polygons(mended))
    parts, numbers = shapely.get_parts(out, return_index=True)
    return parts, numbers
